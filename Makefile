# The one makefile: build, check, bench, demo, install.
VERSION := 0.1.0
BUILD   ?= build
CC      ?= cc
DESTDIR ?=
prefix  ?= /usr/local
bindir  ?= $(prefix)/bin
datadir ?= $(prefix)/share
mandir  ?= $(datadir)/man

PKGS    := libarchive libxxhash libcrypto zlib
CSTD    := -std=c11 -D_GNU_SOURCE
WARN    := -Wall -Wextra
OPT     ?= -O3 -g
HAVE_ISAL := $(shell printf '\#include <isa-l/igzip_lib.h>\n' | $(CC) -E - >/dev/null 2>&1 && echo 1)

CPPFLAGS += -I. -DCDP_VERSION='"$(VERSION)"' $(if $(HAVE_ISAL),-DCDP_HAVE_ISAL)
CFLAGS   += $(CSTD) $(WARN) $(OPT) -pthread -fno-math-errno
LDLIBS   += $(shell pkg-config --libs $(PKGS) 2>/dev/null || echo -larchive -lxxhash -lcrypto -lz) \
            $(if $(HAVE_ISAL),-lisal) -ljq -lm -pthread

LIB_SRC  := $(wildcard lib/*.c)
LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/%.o)
TOOLS    := $(patsubst tools/%.c,%,$(wildcard tools/*.c))
BINS     := $(TOOLS:%=$(BUILD)/bin/%)
UNITS    := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/*.c))
FUZZERS  := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
HELPERS  := $(patsubst tests/fault/%.c,$(BUILD)/fault/%,$(wildcard tests/fault/*.c))
COMPLETIONS := $(foreach t,$(TOOLS),$(BUILD)/completions/$t.bash $(BUILD)/completions/_$t $(BUILD)/completions/$t.fish)

# Without a -j of the user's, as many jobs as there are processors.
JOBS     ?= $(shell nproc 2>/dev/null || echo 2)
SUBMAKE   = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS))

all: $(BINS) completions

# --- build

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

ifeq ($(shell uname -m),x86_64)
$(BUILD)/lib/scan_avx2.o: CFLAGS += -mavx2 -mbmi -mbmi2
endif

$(BUILD)/libcdp.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/bin/%: $(BUILD)/tools/%.o $(BUILD)/libcdp.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -Wl,--as-needed $(LDLIBS)

$(BUILD)/unit/%: tests/unit/%.c tests/unit/tap.h $(BUILD)/libcdp.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MMD -MP -o $@ $< $(BUILD)/libcdp.a -Wl,--as-needed $(LDLIBS)

# What the fault tests are made of: programs, and shared objects to preload.
$(BUILD)/fault/%: tests/fault/%.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARN) -O2 $(if $(filter preload_%,$*),-shared -fPIC) -o $@ $< $(if $(filter preload_%,$*),-ldl)

# The generator of samples, for inputs of any size.
$(BUILD)/generate: samples/generate.c
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARN) -O2 -o $@ $<

# A fuzz target with a main that replays files, to be built with the sanitizers.
$(BUILD)/fuzz/%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c $(BUILD)/libcdp.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< tests/fuzz/replay.c $(BUILD)/libcdp.a -Wl,--as-needed $(LDLIBS)

$(BUILD)/completions/%.bash: $(BUILD)/bin/% tools/completions/spec.awk tools/completions/bash.awk
	@mkdir -p $(@D)
	@$< --spec | awk -f tools/completions/spec.awk -f tools/completions/bash.awk >$@

$(BUILD)/completions/_%: $(BUILD)/bin/% tools/completions/spec.awk tools/completions/zsh.awk
	@mkdir -p $(@D)
	@$< --spec | awk -f tools/completions/spec.awk -f tools/completions/zsh.awk >$@

$(BUILD)/completions/%.fish: $(BUILD)/bin/% tools/completions/spec.awk tools/completions/fish.awk
	@mkdir -p $(@D)
	@$< --spec | awk -f tools/completions/spec.awk -f tools/completions/fish.awk >$@

units: $(UNITS)
replays: $(FUZZERS:%=$(BUILD)/fuzz/%)
helpers: $(HELPERS) $(BUILD)/generate
completions: $(COMPLETIONS)

# --- the two commands; probes above run again once the packages are there

demo:
	@tests/deps demo
	@$(SUBMAKE) all
	@PATH="$(abspath $(BUILD))/bin:$$PATH" pipelines/demo

check:
	@tests/deps check
	@$(SUBMAKE) all units helpers
	@$(SUBMAKE) BUILD=$(BUILD)-asan OPT=$(ASAN) units replays
	@BUILD=$(abspath $(BUILD)) prove -j$(JOBS) --failures --comments --exec tests/run $(TESTS)

# The long ones first, so that they do not finish alone.
BATS   := $(wildcard tests/laws.bats tests/fault/*.bats) $(filter-out tests/laws.bats,$(wildcard tests/*.bats))
LINT   := $(filter-out %.bash %.awk,$(wildcard tests/lint/*))
TESTS  ?= $(BATS) $(LINT) $(wildcard tests/examples) $(UNITS) $(UNITS:$(BUILD)/%=$(BUILD)-asan/%) $(FUZZERS:%=$(BUILD)-asan/fuzz/%)

# --- other builds, each in a folder of its own

ASAN := '-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer'
TSAN := '-O1 -g -fsanitize=thread'

dev:
	@$(SUBMAKE) BUILD=$(BUILD)-dev WARN='-Wall -Wextra -Wshadow -Wconversion -Werror' all units

# The suite under a sanitizer.  Faults stay out: limits on memory and preloaded calls do not go with one.
asan:
	@$(SUBMAKE) BUILD=$(BUILD)-asan OPT=$(ASAN) all units replays helpers run-suite
tsan:
	@$(SUBMAKE) BUILD=$(BUILD)-tsan OPT=$(TSAN) all units helpers run-suite
run-suite: all units helpers
	@SANITIZED=1 BUILD=$(abspath $(BUILD)) prove -j$(JOBS) --failures --comments --exec tests/run \
	    $(filter-out tests/make.bats tests/fault/%,$(BATS)) $(UNITS) $(wildcard $(BUILD)/fuzz/*)

# New inputs are found from the corpus, which is not written to: what is worth keeping is copied by hand.
FUZZ_SECONDS ?= 30
fuzz:
	@tests/deps fuzz
	@$(SUBMAKE) BUILD=$(BUILD)-fuzz CC=clang OPT='-O1 -g -fsanitize=address,undefined,fuzzer-no-link' run-fuzz
run-fuzz: $(FUZZERS:%=$(BUILD)/fuzzer/%)
	@for f in $(FUZZERS); do \
	    mkdir -p $(BUILD)/corpus/$$f tests/fuzz/corpus/$$f && \
	    $(BUILD)/fuzzer/$$f -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 -timeout=10 \
	        -artifact_prefix=$(BUILD)/crash-$$f- $(BUILD)/corpus/$$f tests/fuzz/corpus/$$f >$(BUILD)/$$f.log 2>&1 || \
	        { tail -n 60 $(BUILD)/$$f.log; exit 1; }; \
	    echo "fuzz $$f: $$(sed -n 's/^stat::number_of_executed_units: *//p' $(BUILD)/$$f.log) runs, no fault"; \
	done
$(BUILD)/fuzzer/%: tests/fuzz/fuzz_%.c $(BUILD)/libcdp.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -fsanitize=fuzzer -o $@ $< $(BUILD)/libcdp.a -Wl,--as-needed $(LDLIBS)

cover:
	@tests/deps cover
	@$(SUBMAKE) BUILD=$(BUILD)-cover OPT='-O0 -g --coverage' all units helpers run-suite
	@lcov -q -c -d $(BUILD)-cover -o $(BUILD)-cover/all.info --no-external -b .
	@lcov -q -r $(BUILD)-cover/all.info '*/tests/*' -o $(BUILD)-cover/lib.info
	@genhtml -q -o $(BUILD)-cover/html $(BUILD)-cover/lib.info
	@lcov -l $(BUILD)-cover/lib.info

# What is derived: OPTIONS of the man pages, golden output, output in EXAMPLES and README.  Review the diff.
bless: all helpers
	@for t in $(TOOLS); do tests/spec2man $(abspath $(BUILD))/bin/$$t || exit 1; done
	@BLESS=1 BUILD=$(abspath $(BUILD)) tests/examples
	@BLESS=1 BUILD=$(abspath $(BUILD)) prove -j$(JOBS) --failures --comments --exec tests/run $(BATS)
	@git status --short man README.md tests/golden

# Both commands in a bare Debian 12, so that nothing installed by hand hides a missing step.
fresh:
	@tests/deps fresh
	@tests/fresh

bench:
	@tests/deps build
	@$(SUBMAKE) all
	@BUILD=$(abspath $(BUILD)) tests/bench/run

# The peers that no Debian package has, into build-peers; only `bench` uses them.
bench-peers:
	@tests/bench/peers

# Instructions executed, against the committed baseline; UPDATE=1 moves it.
bench-regress:
	@tests/deps build
	@$(SUBMAKE) all
	@BUILD=$(abspath $(BUILD)) tests/bench/instructions

# --- install

install: all
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(mandir)/man1 $(DESTDIR)$(mandir)/man5 $(DESTDIR)$(mandir)/man7 \
	    $(DESTDIR)$(datadir)/bash-completion/completions $(DESTDIR)$(datadir)/zsh/site-functions \
	    $(DESTDIR)$(datadir)/fish/vendor_completions.d $(DESTDIR)$(datadir)/cdp
	install -m 755 $(BINS) $(DESTDIR)$(bindir)
	for s in 1 5 7; do install -m 644 man/*.$$s $(DESTDIR)$(mandir)/man$$s || exit 1; done
	for t in $(TOOLS); do \
	    install -m 644 $(BUILD)/completions/$$t.bash $(DESTDIR)$(datadir)/bash-completion/completions/$$t && \
	    install -m 644 $(BUILD)/completions/_$$t $(DESTDIR)$(datadir)/zsh/site-functions && \
	    install -m 644 $(BUILD)/completions/$$t.fish $(DESTDIR)$(datadir)/fish/vendor_completions.d || exit 1; \
	done
	cp -R pipelines samples $(DESTDIR)$(datadir)/cdp/

clean:
	rm -rf build build-*

.PHONY: all units replays helpers completions demo check dev asan tsan run-suite fuzz run-fuzz cover bless fresh \
    bench bench-peers bench-regress install clean
.SECONDARY:
.DELETE_ON_ERROR:
-include $(wildcard $(BUILD)/lib/*.d $(BUILD)/tools/*.d $(BUILD)/unit/*.d)
