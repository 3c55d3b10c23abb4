# What both flows share: how recipes run, and how landing files become partitions.
#
# A flow's makefile sets FLOW (users), TIME (the path of the time it partitions by), LAYERS (where it has partitions, the layer
# that they begin in first) and ROWS (a partition's file there), includes this, and says how partitions and gold are made.
# Variables a user sets:
#
#   LANDING   directory of landing files (any depth; tar, zip, gz … or plain NDJSON)         (default: landing)
#   LAKE      root of the lake                                                               (default: lake)
#   FROM, TO  a range of days, YYYY-MM-DD: their partitions are built anew (a backfill)
#
# LAKE/bronze/FLOW/FILE.ndjson.gz                   as received, enveloped; one a landing file
# LAKE/state/FLOW/landed/FILE+                      as old as what is known of a landing file, see `landing`
# LAKE/state/FLOW/split/FILE+/year=/month=/day=/    its lines by partition
# LAKE/state/FLOW/days/                             what each partition is made of, see `partitions`
# LAKE/silver…/FLOW/year=/month=/day=/ROWS          a partition: the target that all else hangs on
# LAKE/rejects/FLOW/…  LAKE/audit/FLOW.ndjson       what was refused; what every step read and wrote
#
# Recipes write their target with -o, which makes it appear whole; where several programs are joined by a pipe the target
# gets its name only after all of them have succeeded.

LAKE    ?= lake
LANDING ?= landing
PIPELINES := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))

SHELL       := $(PIPELINES)/step
.SHELLFLAGS := --
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
export LC_ALL := C

STATS   = --stats $(LAKE)/audit/$(FLOW).ndjson -q
REJECTS = --rejects $(LAKE)/rejects/$(FLOW)/$1.ndjson
BRONZE := $(LAKE)/bronze/$(FLOW)
STATE  := $(LAKE)/state/$(FLOW)
SELF   := $(MAKE) --no-print-directory -f $(firstword $(MAKEFILE_LIST))

# $(call quoted,WORD), for the shell; $(call checked,WHAT) after a $(shell …) that must have succeeded.
quoted  = '$(subst ','\'',$1)'
checked = $(if $(filter-out 0,$(.SHELLSTATUS)),$(error $(FLOW): $1))

# The partitions are known when all landing files are split; so make is run again for them.
ifeq ($(filter-out all split backfill,$(MAKECMDGOALS)),)
LANDED := $(shell $(PIPELINES)/landing $(call quoted,$(LANDING)) $(call quoted,$(LAKE)) $(FLOW))
$(call checked,the landing files are not to be had)
# What is in bronze stays, also when it is landing no longer.
BRONZED := $(shell mkdir -p $(BRONZE) && find $(BRONZE) -name '*.ndjson.gz' ! -name '.*' -printf '%P\n')
$(call checked,bronze is not to be had)
SPLIT := $(patsubst %,$(STATE)/split/%+/.done,$(sort $(LANDED) $(BRONZED:%.ndjson.gz=%)))
endif

all: split
	+@$(SELF) gold
split: $(SPLIT)
backfill:
	@test -n '$(FROM)$(TO)' || { echo 'backfill: FROM=YYYY-MM-DD, TO=YYYY-MM-DD or both' >&2; exit 2; }
	+@$(SELF) split FROM= TO=
	+@$(SELF) gold

$(LANDED:%=$(BRONZE)/%.ndjson.gz): $(BRONZE)/%.ndjson.gz: $(STATE)/landed/%+
	@mkdir -p $(@D)
	printf -v file %b $(call quoted,$(subst +,\x,$*)) && \
	    cdp-cat --envelope $(STATS) -o $@ -- $(call quoted,$(LANDING))/"$$file"

$(STATE)/split/%+/.done: $(BRONZE)/%.ndjson.gz
	@rm -rf $(@D) && mkdir -p $(@D) $(dir $(LAKE)/rejects/$(FLOW)/$*)
	@rm -f $(LAKE)/rejects/$(FLOW)/$*.ndjson
	cdp-cat --unwrap $(STATS) $< | cdp-part -d $(@D) --time $(TIME) $(call REJECTS,$*) $(STATS)
	@touch $@

# For every partition there is: its file in the first layer, the list of its pieces, and the pieces.
ifneq ($(filter-out all split backfill,$(MAKECMDGOALS)),)
$(shell $(PIPELINES)/partitions $(LAKE) $(FLOW) $(ROWS) $(call quoted,$(FROM)) $(call quoted,$(TO)) $(LAYERS) >$(STATE)/partitions.mk)
$(call checked,the partitions are not to be had)
EQ := =
include $(STATE)/partitions.mk
endif

# $(call partitions,LAYER/FLOW,ROWS): a file of each partition, behind their list; $(call rows,LAYER/FLOW,ROWS): the command
# that prints them as a stream, however many there are.
partitions = $(STATE)/days/all $(DAYS:%=$(LAKE)/$1/%/$2)
rows       = sed 's|.*|$(LAKE)/$1/&/$2|' $(STATE)/days/all | cdp-cat --files-from -

.PHONY: all split backfill gold again
.SECONDARY:
