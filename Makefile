# The one makefile: build, check, bench, demo, install.
VERSION := 0.1.0
BUILD   ?= build
CC      ?= cc
prefix  ?= /usr/local

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

all: $(BINS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/libcdp.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/bin/%: $(BUILD)/tools/%.o $(BUILD)/libcdp.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -Wl,--as-needed $(LDLIBS)

$(BUILD)/unit/%: tests/unit/%.c tests/unit/tap.h $(BUILD)/libcdp.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MMD -MP -o $@ $< $(BUILD)/libcdp.a -Wl,--as-needed $(LDLIBS)

units: $(UNITS)

dev:
	$(MAKE) BUILD=build-dev WARN='-Wall -Wextra -Wshadow -Wconversion -Werror' all units
asan:
	$(MAKE) BUILD=build-asan OPT='-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all' all units
tsan:
	$(MAKE) BUILD=build-tsan OPT='-O1 -g -fsanitize=thread' all units

clean:
	rm -rf build build-*

.PHONY: all units dev asan tsan clean
.SECONDARY:
.DELETE_ON_ERROR:
-include $(wildcard $(BUILD)/lib/*.d $(BUILD)/tools/*.d $(BUILD)/unit/*.d)
