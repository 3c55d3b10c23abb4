# What both flows share: how recipes run, and how landing files become partitions.
#
# A flow's makefile sets FLOW (users), TIME (the path of the time it partitions by), FIRST (the layer that partitions begin in) and
# ROWS (a partition's file there), includes this, and says how partitions and gold are made.  Variables a user sets:
#
#   LANDING   directory of landing files (any depth; tar, zip, gz … or plain NDJSON); names without blanks
#   LAKE      root of the lake                                                                  (default: lake)
#   FROM, TO  a range of days: only their partitions, built anew (a backfill)
#
# LAKE/bronze/FLOW/FILE.ndjson.gz                   as received, enveloped; one a landing file
# LAKE/state/FLOW/split/FILE/year=/month=/day=/     its lines by partition
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

# $(call inputs,FILES): notes the inputs of a target beside it, for --files-from: a command line is too short for many.
define newline


endef
empty :=
space  := $(empty) $(empty)
inputs  = $(shell mkdir -p $(@D))$(file >$(@D)/.$(@F).inputs,$(subst $(space),$(newline),$(strip $1)))

STATS   = --stats $(LAKE)/audit/$(FLOW).ndjson -q
REJECTS = --rejects $(LAKE)/rejects/$(FLOW)/$1.ndjson
STATE  := $(LAKE)/state/$(FLOW)
SELF   := $(MAKE) --no-print-directory -f $(firstword $(MAKEFILE_LIST))

FILES   := $(shell cd '$(LANDING)' && find . -type f ! -name '.*' | cut -c3- | sort)
SPLIT   := $(FILES:%=$(STATE)/split/%/.done)
FOLDERS := $(LAKE)/audit $(LAKE)/rejects/$(FLOW) $(STATE)

# The partitions are known when all landing files are split; so make is run again for them.
all: split
	+@$(SELF) gold
split: $(SPLIT)
backfill:
	@test -n '$(FROM)$(TO)' || { echo 'backfill: FROM=YYYY-MM-DD, TO=YYYY-MM-DD or both' >&2; exit 2; }
	+@$(SELF) split FROM= TO=
	+@$(SELF) gold

$(FOLDERS):
	@mkdir -p $@

$(LAKE)/bronze/$(FLOW)/%.ndjson.gz: $(LANDING)/% | $(FOLDERS)
	@mkdir -p $(@D)
	cdp-cat --envelope $(STATS) -o $@ $<

$(STATE)/split/%/.done: $(LAKE)/bronze/$(FLOW)/%.ndjson.gz
	@rm -rf $(@D) && mkdir -p $(@D) $(dir $(LAKE)/rejects/$(FLOW)/$*)
	@rm -f $(LAKE)/rejects/$(FLOW)/$*.ndjson
	cdp-cat --unwrap $(STATS) $< | cdp-part -d $(@D) --time $(TIME) $(call REJECTS,$*) $(STATS)
	@touch $@

# For every partition there is, "LAYER/FLOW/year=…/month=…/day=…/ROWS: the files it is made of"; LAYER is the flow's first.
ifneq ($(filter-out all split backfill,$(MAKECMDGOALS)),)
$(shell mkdir -p $(STATE) && find $(STATE)/split -name 'part-*.ndjson.gz' -path '*/day=*/*' 2>/dev/null | sort | \
    awk -v to='$(LAKE)/$(FIRST)/$(FLOW)' -v rows='$(ROWS)' -f $(PIPELINES)/partitions.awk >$(STATE)/partitions.mk)
EQ := =
include $(STATE)/partitions.mk
endif
IN_RANGE := $(shell printf '%s\n' $(DAYS) | awk -v from='$(FROM)' -v to='$(TO)' 'NF { \
    d = $$0; gsub(/(year|\/month|\/day)=/, "-", d); d = substr(d, 2); \
    if ((from != "" || to != "") && (from == "" || d >= from) && (to == "" || d <= to)) print }')
$(IN_RANGE:%=$(LAKE)/$(FIRST)/$(FLOW)/%/$(ROWS)): again

# The files of all partitions in a layer: $(call partitions,silver)
partitions = $(DAYS:%=$(LAKE)/$1/$(FLOW)/%/$(ROWS))

.PHONY: all split backfill gold again
.SECONDARY:
