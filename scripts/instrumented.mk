# Builds the native code once more with clang's sanitizers, apart from the addon that runs:
#   make -f scripts/instrumented.mk KIND=address fuzz       libFuzzer targets, test/fuzz/*.cc
#   make -f scripts/instrumented.mk KIND=address addon      the addon (its runtime is preloaded)
#   make -f scripts/instrumented.mk KIND=address threads    test/threads/*.cc under ASan and UBSan
#   make -f scripts/instrumented.mk KIND=thread  threads    the same under TSan
# Everything lands in build-$(KIND). PLANTED=1 builds fuzz targets with the bug that shows that
# they find one. CLANG may name a compiler cache.
KIND ?= address
PLANTED ?=
CLANG ?= clang++-14
OUT := build-$(KIND)

INSTRUMENT.address := -fsanitize=address,undefined -fno-sanitize-recover=all
INSTRUMENT.thread := -fsanitize=thread
# Coverage for the fuzzer; costs nothing that matters elsewhere.
COVERAGE.address := -fsanitize=fuzzer-no-link
INSTRUMENT := $(INSTRUMENT.$(KIND))

# A symbol of the planted bug's build would otherwise be taken for the other one's.
VARIANT := $(if $(PLANTED),planted,fuzz)
HARNESS_FLAGS := $(if $(PLANTED),-DKEYVOL_PLANTED_BUG)

FLAGS := -std=c++20 -O1 -g -fno-omit-frame-pointer -fPIC -pthread -Wall -Wextra \
  -Wno-missing-field-initializers -Wno-unused-lambda-capture -D_FILE_OFFSET_BITS=64 -Inative
# As in binding.gyp.
ADDON_FLAGS = -DNAPI_VERSION=9 -DNODE_ADDON_API_DISABLE_DEPRECATED \
  -I$(shell node -p 'require("node:path").resolve(process.execPath, "../../include/node")') \
  -I$(shell node -p 'require("node-addon-api").include_dir')

SOURCES := $(shell find native -name '*.cc' -not -path '*/holder/*' | sort)
ADDON_SOURCES := native/addon.cc $(filter native/binding/%,$(SOURCES))
CORE_SOURCES := $(filter-out $(ADDON_SOURCES),$(SOURCES))
FUZZ_SOURCES := $(wildcard test/fuzz/*.cc)
THREAD_SOURCES := $(wildcard test/threads/*.cc)

OBJECT = $(1:%.cc=$(OUT)/%.o)
CORE := $(OUT)/core.a
LIBRARIES := -lcryptsetup -lssl -lcrypto

.PHONY: fuzz addon threads
.SECONDARY:

fuzz: $(FUZZ_SOURCES:test/fuzz/%.cc=$(OUT)/$(VARIANT)/%)
addon: $(OUT)/keyvol.node
threads: $(THREAD_SOURCES:test/threads/%.cc=$(OUT)/threads/%)

# OpenSSL's symbols are Node's own, as in the addon that runs.
$(OUT)/keyvol.node: $(call OBJECT,$(ADDON_SOURCES)) $(CORE)
	$(CLANG) $(INSTRUMENT) -shared-libasan -shared -o $@ $(call OBJECT,$(ADDON_SOURCES)) \
	  -Wl,--whole-archive $(CORE) -Wl,--no-whole-archive -lcryptsetup

$(OUT)/$(VARIANT)/%: $(OUT)/$(VARIANT)/%.o $(CORE)
	$(CLANG) $(INSTRUMENT) -fsanitize=fuzzer -pthread -o $@ $^ $(LIBRARIES)

$(OUT)/threads/%: $(OUT)/test/threads/%.o $(CORE)
	@mkdir -p $(@D)
	$(CLANG) $(INSTRUMENT) -pthread -o $@ $^ $(LIBRARIES)

$(CORE): $(call OBJECT,$(CORE_SOURCES))
	rm -f $@ && ar rcs $@ $^

$(OUT)/$(VARIANT)/%.o: test/fuzz/%.cc
	@mkdir -p $(@D)
	$(CLANG) $(FLAGS) $(INSTRUMENT) $(COVERAGE.$(KIND)) $(HARNESS_FLAGS) -Itest -MMD -c -o $@ $<

$(OUT)/native/binding/%.o $(OUT)/native/addon.o: FLAGS += $(ADDON_FLAGS)
$(OUT)/%.o: %.cc
	@mkdir -p $(@D)
	$(CLANG) $(FLAGS) $(INSTRUMENT) $(COVERAGE.$(KIND)) -Itest -MMD -c -o $@ $<

-include $(shell find $(OUT) -name '*.d' 2>/dev/null)
