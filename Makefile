# kvcrm: builds, installs and tests the extension.  `make help` lists what it can do.
#
#   make [PG=16] [PG_CONFIG=/path/to/pg_config]
#
# PGXS installs; how to compile and link C++ is said here, because PGXS compiles for C: its include order lets
# warnings in the server's headers break -Werror, and it links with cc. Everything built lies under build/.

ifdef PG_CONFIG
PG ?= $(shell $(PG_CONFIG) --version | sed -E 's/[^0-9]*([0-9]+).*/\1/')
else
PG ?= 15
PG_CONFIG := $(or $(wildcard /usr/lib/postgresql/$(PG)/bin/pg_config),$(shell command -v pg_config))
endif
FOUND := $(if $(PG_CONFIG),$(shell $(PG_CONFIG) --version | sed -E 's/[^0-9]*([0-9]+).*/\1/'))

# As many jobs as cores, unless -j was given or a make above this one has decided.
ifeq ($(MAKELEVEL)$(filter -j% --jobs%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif

.DEFAULT_GOAL := all
.PHONY: all deps install uninstall installcheck test demo stop bench bench-match docs format format-check clean help

VERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" kvcrm.control)
OUT     := build/$(PG)$(if $(SANITIZE),-sanitized)
export PG SANITIZE
comma   := ,

ifeq ($(FOUND),$(PG))

export PG_CONFIG
MODULES    := $(OUT)/kvcrm
EXTENSION  := kvcrm
SCRIPT     := $(OUT)/kvcrm--$(VERSION).sql
UPDATES    := $(patsubst sql/updates/%.manifest,$(OUT)/kvcrm--%.sql,$(wildcard sql/updates/*--$(VERSION).manifest))
DATA_built := $(SCRIPT) $(UPDATES)
# What was released is frozen: install scripts of older versions and the updates between them.
DATA       := $(wildcard sql/released/*.sql)
NO_INSTALLCHECK := 1
override with_llvm := no# no bitcode: inlining C++ into queries isn't worth a second compiler

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

SOURCES := $(wildcard src/*.cpp src/*/*.cpp)
OBJECTS := $(SOURCES:src/%.cpp=$(OUT)/obj/%.o)

# src/mail reads messages with GMime and HTML with libxml2.
MAIL_CFLAGS := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags gmime-3.0 libxml-2.0 2>/dev/null))
MAIL_LIBS   := $(shell pkg-config --libs gmime-3.0 libxml-2.0 2>/dev/null)

# -isystem: warnings are for our code, not for the server's headers. -fno-strict-aliasing -fwrapv: the server's
# headers rely on both.
# SANITIZE=1 has AddressSanitizer and UndefinedBehaviorSanitizer look for errors, in a directory of its own.
SANITIZERS := $(if $(SANITIZE),-O1 -fsanitize=address$(comma)undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer \
	-Wno-maybe-uninitialized)
COMPILE = g++ -std=c++20 -O2 -g -fPIC -fvisibility=hidden -fno-strict-aliasing -fwrapv $(SANITIZERS) \
	-Wall -Wextra -Werror -isystem $(includedir_server) -Isrc $(COPT)

$(OUT)/obj/%.o: src/%.cpp Makefile
	@mkdir -p $(@D)
	$(COMPILE) -MMD -MP -c -o $@ $<

$(OUT)/obj/mail/%.o: COPT += $(MAIL_CFLAGS)

-include $(OBJECTS:.o=.d)

# PGXS has a VERSION too, the server's.
$(OUT)/obj/crm/installation.o: COPT += -DKVCRM_VERSION='"$(SCRIPT:$(OUT)/kvcrm--%.sql=%)"'
$(OUT)/obj/crm/installation.o: kvcrm.control

# A module exports what its SQL names and nothing else: its C++, and the templates it instantiates, must not mix
# with those of another library in the same server.
$(OUT)/kvcrm.exports: $(SCRIPT) $(UPDATES) $(DATA) scripts/sql-symbols
	@scripts/sql-symbols --linker $(SCRIPT) $(UPDATES) $(DATA) > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(OUT)/kvcrm.so: $(OBJECTS) $(OUT)/kvcrm.exports
	g++ -shared -o $@ $(SANITIZERS) $(OBJECTS) -Wl,--version-script=$(OUT)/kvcrm.exports \
		$(LDFLAGS) $(LDFLAGS_SL) -lphonenumber -licui18n -licuuc $(MAIL_LIBS)

# A module for test/boundary: functions that drive src/pg to its edges inside a backend. Never installed by
# `make install`.
BOUNDARY := $(patsubst test/boundary/%.cpp,$(OUT)/boundary/%.o,$(wildcard test/boundary/*.cpp)) \
	$(filter $(OUT)/obj/pg/%,$(OBJECTS))

$(OUT)/boundary/%.o: test/boundary/%.cpp Makefile
	@mkdir -p $(@D)
	$(COMPILE) -MMD -MP -c -o $@ $<

-include $(wildcard $(OUT)/boundary/*.d)

$(OUT)/kvcrm_boundary.so: $(BOUNDARY) test/boundary/exports
	g++ -shared -o $@ $(SANITIZERS) $(BOUNDARY) -Wl,--version-script=test/boundary/exports $(LDFLAGS) $(LDFLAGS_SL)

.PHONY: boundary
boundary: $(OUT)/kvcrm_boundary.so

SQL := $(addprefix sql/,$(shell sed 's/\#.*//' sql/manifest))

$(SCRIPT): sql/manifest $(SQL) kvcrm.control
	@mkdir -p $(@D)
	{ printf '%s\n' '\echo Use "CREATE EXTENSION kvcrm" to load this file. \quit'; \
	  for f in $(SQL); do printf '\n-- %s\n\n' $$f; cat $$f || exit 1; done; } > $@.new
	@mv $@.new $@

# An update: what its manifest lists, which runs once, and all of code/, which every update runs again.
CODE := $(filter sql/code/%,$(SQL))

$(OUT)/kvcrm--%.sql: sql/updates/%.manifest sql/manifest $(wildcard sql/updates/*.sql) $(SQL)
	@mkdir -p $(@D)
	{ printf '%s\n' '\echo Use "ALTER EXTENSION kvcrm UPDATE" to load this file. \quit'; \
	  for f in $$(sed 's/#.*//; s,^[^ ],sql/&,' $<) $(CODE); do printf '\n-- %s\n\n' $$f; cat $$f || exit 1; done; } > $@.new
	@mv $@.new $@

# The benchmarks' client.
BENCH_OBJECTS := $(patsubst bench/%.cpp,$(OUT)/bench/%.o,$(wildcard bench/*.cpp))
.PHONY: bench-program
bench-program: $(OUT)/kvcrm-bench
$(OUT)/kvcrm-bench: $(BENCH_OBJECTS)
	g++ -o $@ $(BENCH_OBJECTS) -L$(libdir) -lpq

$(OUT)/bench/%.o: bench/%.cpp Makefile
	@mkdir -p $(@D)
	g++ -std=c++20 -O2 -g -Wall -Wextra -Werror -isystem $(includedir) -MMD -MP -c -o $@ $<

-include $(BENCH_OBJECTS:.o=.d)

# Quality of the match: needs text and match, and a connection for what pg_trgm would do.
QUALITY_OBJECTS := $(patsubst bench/quality/%.cpp,$(OUT)/bench/quality/%.o,$(wildcard bench/quality/*.cpp)) \
	$(OUT)/bench/harness.o $(filter $(OUT)/obj/text/% $(OUT)/obj/match/%,$(OBJECTS))
.PHONY: match-program
match-program: $(OUT)/kvcrm-match
$(OUT)/kvcrm-match: $(QUALITY_OBJECTS)
	g++ -o $@ $(QUALITY_OBJECTS) -L$(libdir) -lpq -lphonenumber -licui18n -licuuc

$(OUT)/bench/quality/%.o: bench/quality/%.cpp Makefile
	@mkdir -p $(@D)
	g++ -std=c++20 -O2 -g -Wall -Wextra -Werror -isystem $(includedir) -Isrc -MMD -MP -c -o $@ $<

-include $(wildcard $(OUT)/bench/quality/*.d)

# PGXS forgets that a module may be built in a directory of its own.
uninstall: uninstall-module
.PHONY: uninstall-module
uninstall-module:
	rm -f '$(DESTDIR)$(pkglibdir)/kvcrm.so'

else
all install uninstall:
	@echo >&2 "$(if $(FOUND),$(PG_CONFIG) is of PostgreSQL $(FOUND), not $(PG),no pg_config found): run 'make deps', or give PG= or PG_CONFIG="
	@exit 1
endif

# What follows may need packages first, and the rules above read pg_config: hence a make of its own.

deps:
	@scripts/deps

# A version that neither this machine nor its package sources have is tested in a root of the release that has it.
test:
	@if [ '$(FOUND)' != '$(PG)' ] && scripts/root needed; then scripts/root run make test; \
	else scripts/deps && $(MAKE) --no-print-directory all && test/run; fi

# pg_upgrade of a cluster full of rows, FROM one version TO another.
FROM := 15
TO   := 17
.PHONY: test-pg-upgrade
test-pg-upgrade:
	@unset PG_CONFIG; export PG=$(TO); \
	if scripts/root needed; then scripts/root beside $(FROM) && scripts/root run make test-pg-upgrade FROM=$(FROM) TO=$(TO); \
	else $(MAKE) --no-print-directory all PG=$(FROM) && $(MAKE) --no-print-directory all PG=$(TO) && \
	  FROM=$(FROM) TO=$(TO) test/pg_upgrade; fi

# The tests in a server, with a module that has sanitizers; TESTS are suites or files.
TESTS := boundary sql isolation postgrest
.PHONY: test-sanitized
test-sanitized: deps
	SANITIZE=1 $(MAKE) --no-print-directory all && SANITIZE=1 test/run $(TESTS)

# SQL files in a server under valgrind, which is slow: minutes each.
VALGRIND_TESTS := $(or $(filter-out boundary sql isolation postgrest,$(TESTS)),test/sql/activities.sql)
.PHONY: test-valgrind
test-valgrind: deps
	$(MAKE) --no-print-directory all && VALGRIND=1 TIMEOUT=3600 test/run $(VALGRIND_TESTS)

# Fuzzers with clang's libFuzzer, FUZZ_SECONDS each, from the kept corpus and what earlier runs have found.
FUZZ_SECONDS := 10
.PHONY: fuzz
fuzz: deps
	CXX=clang++ cmake -S . -B build/fuzz -DKVCRM_EXTENSION=OFF -DKVCRM_FUZZ=ON > /dev/null
	cmake --build build/fuzz
	test/fuzz/run build/fuzz $(FUZZ_SECONDS) $(FUZZERS)

demo: deps
	@$(MAKE) --no-print-directory all
	scripts/demo

stop:
	scripts/server stop demo

bench: deps
	@$(MAKE) --no-print-directory all bench-program
	bench/run $(SCALE)

bench-match: deps
	@$(MAKE) --no-print-directory all match-program
	bench/match $(SCALE)

docs: all
	scripts/api-reference

# Against a running server (PGHOST, PGPORT, PGUSER, ...) that has kvcrm installed, and pgTAP.
installcheck:
	INSTALLCHECK=1 test/run sql

CLANG_FORMAT ?= $(firstword $(shell command -v clang-format-14 clang-format) clang-format)
FORMATTED = $(shell find src test $(wildcard bench) -name '*.cpp' -o -name '*.hpp')

.PHONY: format-deps
format-deps:
	@scripts/deps format

format: format-deps
	$(CLANG_FORMAT) -i $(FORMATTED)

format-check: format-deps
	$(CLANG_FORMAT) --dry-run --Werror $(FORMATTED)

# A server's data lies under build/ too: it is stopped before that goes.
clean: destroy-servers
.PHONY: destroy-servers
destroy-servers:
	@for v in $(notdir $(wildcard build/[0-9]*)); do PG=$$v PG_CONFIG= scripts/server destroy --all; done
	@[ -z '$(wildcard build/root-*)' ] || scripts/root remove --all
	rm -rf build

help:
	@echo 'make                 build into $(OUT)/'
	@echo 'make deps            install the Debian packages that are missing'
	@echo 'make install         install into the directories of $(or $(PG_CONFIG),pg_config); DESTDIR; also uninstall'
	@echo 'make test            build and run all the tests on a private server; test/run takes suites and files'
	@echo 'make test PG=18      the same on another version, in a Debian of its own if need be (scripts/root)'
	@echo 'make test-pg-upgrade  pg_upgrade a cluster full of rows, FROM=15 TO=17'
	@echo 'make test-sanitized  tests with sanitizers in the server: TESTS="sql isolation test/sql/leads.sql"'
	@echo 'make test-valgrind   SQL files under valgrind: TESTS="test/sql/leads.sql"'
	@echo 'make fuzz            look for inputs that break the pure C++: FUZZ_SECONDS=10 each, FUZZERS="mail html"'
	@echo 'make installcheck    run the SQL tests on the server that PGHOST, PGPORT, ... say'
	@echo 'make demo, stop      a private server with data to look at'
	@echo 'make bench, bench-match    measure speed (SCALE=...) and quality of the match'
	@echo 'make docs            rewrite the API reference'
	@echo 'make format, format-check, clean'
