# Product events: landing → bronze → silver → gold.
#
#   make -f events.mk LANDING=dir LAKE=dir
#
# silver  valid, in the order in which things happened, each event once
# gold    fact_user_activity: per user and day, by partition; user_activity: per user; daily_active_users: per day

FLOW := events
TIME := event_timestamp
LAYERS := silver/events gold/fact_user_activity
ROWS := events.ndjson.gz
include $(dir $(lastword $(MAKEFILE_LIST)))common.mk

FACTS := gold/fact_user_activity

gold: $(LAKE)/gold/user_activity.ndjson.gz $(LAKE)/gold/daily_active_users.ndjson.gz

$(LAKE)/silver/events/%/$(ROWS):
	@mkdir -p $(@D) $(LAKE)/rejects/events/$*
	@rm -f $(LAKE)/rejects/events/$*/order.ndjson
	cdp-cat --files-from $< | cdp-order -k event_timestamp:time,event_id $(call REJECTS,$*/order) $(STATS) | \
	    cdp-dedup -k event_id $(STATS) -o $(@D)/.new.gz
	@mv $(@D)/.new.gz $@

$(LAKE)/gold/fact_user_activity/%/facts.ndjson.gz: $(LAKE)/silver/events/%/$(ROWS)
	@mkdir -p $(@D) $(LAKE)/rejects/events/$*
	@rm -f $(LAKE)/rejects/events/$*/facts.ndjson
	cdp-agg --by .user_id --by 'date=day(.event_timestamp)' \
	    'first_event=min(.event_timestamp)' 'last_event=max(.event_timestamp)' \
	    'total_events=count()' 'total_amount=sum(.metadata.amount)' \
	    $(call REJECTS,$*/facts) $(STATS) -o $@ $<

$(LAKE)/gold/user_activity.ndjson.gz: $(call partitions,$(FACTS),facts.ndjson.gz)
	@mkdir -p $(@D)
	$(call rows,$(FACTS),facts.ndjson.gz) | cdp-agg --by .user_id 'first_event=min(.first_event)' 'last_event=max(.last_event)' \
	    'active_days=count()' 'total_events=sum(.total_events)' 'total_amount=sum(.total_amount)' $(STATS) -o $(@D)/.activity.gz
	@mv $(@D)/.activity.gz $@

$(LAKE)/gold/daily_active_users.ndjson.gz: $(call partitions,$(FACTS),facts.ndjson.gz)
	@mkdir -p $(@D)
	$(call rows,$(FACTS),facts.ndjson.gz) | cdp-agg --by .date 'users=count()' 'events=sum(.total_events)' 'amount=sum(.total_amount)' \
	    $(STATS) -o $(@D)/.daily.gz
	@mv $(@D)/.daily.gz $@
