# Change events of users: landing → bronze → silver_pii → silver → gold.
#
#   make -f users.mk LANDING=dir LAKE=dir AS_OF=2026-02-05
#
# silver_pii  valid, in the order in which things happened, each event once (the delivery that was read first)
# silver      what users.policy.json promotes
# gold        users_current: the state of each user; users_history: each state with the time it held

FLOW := users
TIME := source_timestamp
LAYERS := silver_pii/users silver/users
ROWS := users.ndjson.gz
include $(dir $(lastword $(MAKEFILE_LIST)))common.mk

# The day at which ages are reckoned: fixed, so that a rerun gives the same bytes.
AS_OF  ?= 2026-02-05
POLICY ?= $(PIPELINES)/users.policy.json
ORDER  := source_timestamp:time,read_timestamp:time,uuid

gold: $(LAKE)/gold/users_current.ndjson.gz $(LAKE)/gold/users_history.ndjson.gz

# What a user sets and targets hang on, in a file that changes when it does.
TOLD := $(STATE)/told
$(shell mkdir -p $(STATE); echo '$(AS_OF) $(POLICY)' | cmp -s - $(TOLD) || echo '$(AS_OF) $(POLICY)' >$(TOLD))
$(call checked,$(TOLD) is not to be had)

$(LAKE)/silver_pii/users/%/$(ROWS):
	@mkdir -p $(@D) $(LAKE)/rejects/users/$*
	@rm -f $(LAKE)/rejects/users/$*/order.ndjson
	cdp-cat --files-from $< | cdp-order -k $(ORDER) $(call REJECTS,$*/order) $(STATS) | \
	    cdp-dedup -k uuid $(STATS) -o $(@D)/.new.gz
	@mv $(@D)/.new.gz $@

$(LAKE)/silver/users/%/$(ROWS): $(LAKE)/silver_pii/users/%/$(ROWS) $(POLICY) $(TOLD)
	@mkdir -p $(@D) $(LAKE)/rejects/users/$*
	@rm -f $(LAKE)/rejects/users/$*/scrub.ndjson
	cdp-scrub --policy $(POLICY) --as-of $(AS_OF) $(call REJECTS,$*/scrub) $(STATS) -o $@ $<

SNAPSHOT = cdp-snapshot -k user_id --order $(ORDER) --delete '.change_type == "DELETE"' $(STATS)

$(LAKE)/gold/users_current.ndjson.gz: $(call partitions,silver/users,$(ROWS))
	@mkdir -p $(@D)
	$(call rows,silver/users,$(ROWS)) | $(SNAPSHOT) -o $(@D)/.current.gz
	@mv $(@D)/.current.gz $@

$(LAKE)/gold/users_history.ndjson.gz: $(call partitions,silver/users,$(ROWS))
	@mkdir -p $(@D)
	$(call rows,silver/users,$(ROWS)) | $(SNAPSHOT) --history -o $(@D)/.history.gz
	@mv $(@D)/.history.gz $@
