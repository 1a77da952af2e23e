# kin. `make help` lists what can be made; `make` builds and says what it found.
CC       = gcc
CXX      = g++
NVCC     = nvcc
PREFIX   = /usr/local
BUILD    = build
OPT      = -O2 -g
SAN      =
JOBS    := $(shell nproc 2>/dev/null || echo 2)
FUZZ_SECONDS = 5
PYTHON   = python3

ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(JOBS) --no-print-directory
endif
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

# ---- what is there: one preprocessor run asks for every header ---------------------------------
probe = \#if __has_include(<$(1)>)\n$(2)\n\#endif\n
FOUND := $(shell printf '$(call probe,stdio.h,libc6-dev)$(call probe,jansson.h,libjansson-dev)$(call probe,jpeglib.h,libjpeg62-turbo-dev)$(call probe,zlib.h,zlib1g-dev)$(call probe,utf8proc.h,libutf8proc-dev)$(call probe,stb/stb_image.h,libstb-dev)$(call probe,cmocka.h,libcmocka-dev)$(call probe,spng.h,libspng-dev)$(call probe,webp/decode.h,libwebp-dev)' | $(CC) -E -P -x c - 2>/dev/null)
FOUND += $(if $(wildcard /usr/lib/*/libopenblas.so.0 /usr/lib/*/openblas-*/libopenblas.so.0 /usr/lib/libopenblas.so.0),libopenblas0-pthread)
FOUND += $(if $(shell command -v $(CC)),gcc) $(if $(shell command -v $(CXX)),g++)

REQUIRED = gcc libc6-dev libjansson-dev libjpeg62-turbo-dev zlib1g-dev libutf8proc-dev libstb-dev
OPTIONAL = libspng-dev libwebp-dev libopenblas0-pthread
TESTING  = libcmocka-dev g++
NEEDED  := $(filter-out $(FOUND),$(REQUIRED))

libspng-dev_adds          = PNG by libspng (without it: stb_image, slower)
libwebp-dev_adds          = WebP pictures
libopenblas0-pthread_adds = fast matrix products (found when kin runs, not linked)
libcmocka-dev_adds        = make test
g++_adds                  = tests of the CUDA kernels on this processor

# The CUDA plug-in is built where nvcc is; CUDA=0: not, CUDA=1: in any case.
CUDA_ARCHS = 80 90
CUDA     := $(if $(shell command -v $(NVCC)),1,0)

# ---- flags -------------------------------------------------------------------------------------
CPPFLAGS = -D_GNU_SOURCE= -I. -MMD -MP $(if $(filter libspng-dev,$(FOUND)),-DKIN_HAVE_SPNG) \
           $(if $(filter libwebp-dev,$(FOUND)),-DKIN_HAVE_WEBP)
WARN     = -Wall -Wextra -Wconversion -Wshadow -Wvla -Wstrict-prototypes -Wdouble-promotion -Werror
CFLAGS   = -std=c11 $(OPT) -fPIC -fvisibility=hidden -fopenmp $(WARN) $(SAN)
LDLIBS   = -ljansson $(if $(filter libspng-dev,$(FOUND)),-lspng) -ljpeg \
           $(if $(filter libwebp-dev,$(FOUND)),-lwebp) -lz -lutf8proc -ldl -lm

# kernels/cpu is compiled once per instruction set and chosen when kin runs.
CPUFLAGS    = $(OPT) -O3 -ffp-contract=fast
ISA_plain   =
ISA_avx2    = -mavx2 -mfma -mf16c
ISA_avx512  = -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd -mfma -mf16c -mprefer-vector-width=512
ISAS       := plain $(if $(filter x86_64,$(shell uname -m)),avx2 avx512)

# ---- what is made of what ----------------------------------------------------------------------
ONCE  := $(wildcard kernels/*/once_*.c)
REF   := $(filter-out $(ONCE),$(wildcard kernels/ref/*.c))
CPU   := $(filter-out $(ONCE),$(wildcard kernels/cpu/*.c))
PLAIN := $(wildcard core/*.c nn/*.c train/*.c data/*.c) $(ONCE)
TOOLS := $(wildcard tools/*.c)
TESTS := $(wildcard tests/test_*.c)
FUZZ  := $(filter-out tests/fuzz_main.c,$(wildcard tests/fuzz_*.c))
HARN  := $(filter-out $(TESTS) tests/fuzz_%.c,$(wildcard tests/*.c))
BENCH := $(wildcard bench/*.c)
CU    := $(wildcard kernels/cuda/*.cu)
CUEMU := $(wildcard tests/cuemu/*.cpp)

LIB_O := $(PLAIN:%.c=$(BUILD)/%.o) \
         $(foreach r,32 64,$(REF:%.c=$(BUILD)/%.$(r).o)) $(foreach i,$(ISAS),$(CPU:%.c=$(BUILD)/%.$(i).o))
LIB   := $(BUILD)/libkin.a
SO    := $(BUILD)/libkin.so
VERSION := $(shell sed -n 's/^.define KIN_VERSION "\(.*\)"/\1/p' core/base.h)
SONAME  := libkin.so.$(firstword $(subst ., ,$(VERSION)))
KIN   := $(if $(TOOLS),$(BUILD)/kin)
TEST_X  := $(TESTS:%.c=$(BUILD)/%)
FUZZ_X  := $(FUZZ:%.c=$(BUILD)/%)
TEST_X  += $(BUILD)/tests/test_cuemu
BENCH_X := $(BENCH:%.c=$(BUILD)/%)
CUDA_X  := $(if $(filter 1,$(CUDA)),$(BUILD)/libkin_cuda.so)
EMU_X   := $(BUILD)/cuemu/libkin_cuda.so
# What a plug-in has of kin itself.
PLUG_O  := $(patsubst %,$(BUILD)/core/%.o,base ops_hash tensor)

.PHONY: all help demo test test-long check suite lint asan tsan fuzz mutants parity bench bench-peers bench-gpu tune install uninstall clean deps FORCE

all: $(LIB) $(SO) $(KIN) $(CUDA_X) ## build the libraries and build/kin, say what was found (the default)
	@echo "kin: $(strip $(LIB) $(SO) $(KIN)), kernels: $(ISAS)"
	@echo "  $(if $(CUDA_X),with    CUDA: $(CUDA_X),without CUDA: no $(NVCC) on PATH, or CUDA=0)"
	@$(foreach p,$(OPTIONAL) $(TESTING),echo "  $(if $(filter $(p),$(FOUND)),with   ,without) $(p): $($(p)_adds)$(if $(filter $(p),$(FOUND)),, -- to add it: apt-get install $(p))";)

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
	  while IFS='|' read -r t d; do printf '  %-14s %s\n' "$$t" "$$d"; done
	@echo '  variables      BUILD=dir PREFIX=dir DESTDIR=dir CC=gcc OPT="-O2 -g" FUZZ_SECONDS=5 JOBS=n'

demo: deps ## install what is missing, build, train a small model and show it (minutes)
	@$(MAKE) all
	@tools/demo.sh $(BUILD)

test: deps ## install what is missing, build everything, lint, run every test (6 minutes at most)
	@$(MAKE) suite

test-long: deps ## what takes long: plans against real runs of 500 MB and more, fuzzers for a minute each, every case on the emulated GPU
	@$(MAKE) all $(BUILD)/tests/test_cuda_train $(BUILD)/tests/test_cuda_replay
	@KIN_LONG=1 $(BUILD)/tests/test_cuda_train
	@KIN_LONG=1 $(BUILD)/tests/test_cuda_replay
	@tests/plan_check.sh $(KIN)
	@$(if $(CUDA_X),$(MAKE) BUILD=$(BUILD)/sm_100 CUDA_ARCHS=100 $(BUILD)/sm_100/libkin_cuda.so,echo "no $(NVCC): nothing is compiled for sm_100")
	@$(MAKE) fuzz FUZZ_SECONDS=60

check: deps ## test, and the same under sanitizers, fuzzers for seconds each, the loader under tsan
	@$(MAKE) fuzz
	@$(MAKE) tsan
	@$(MAKE) asan
	@$(MAKE) all suite

# Probing happened before anything was installed: targets that need packages start make once more.
deps:
	@tests/deps.sh $(filter-out $(FOUND),$(REQUIRED) $(OPTIONAL) $(TESTING))

suite: lint $(SO) $(KIN) $(TEST_X) $(FUZZ_X) $(BENCH_X)
	@tests/run.sh $(BUILD) $(TEST_X)

lint: ## check includes, line lengths, names: tests/lint.sh
	@tests/lint.sh

asan: ## every test under AddressSanitizer and UndefinedBehaviorSanitizer
	@KIN_TEST_SECONDS=1500 $(MAKE) BUILD=$(BUILD)/asan OPT='-O1 -g' \
	  SAN='-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer' suite

tsan: ## the loader's threads, and the threads of CUDA blocks, under ThreadSanitizer
	@KIN_TEST_SECONDS=1200 OMP_NUM_THREADS=1 $(MAKE) BUILD=$(BUILD)/tsan OPT='-O1 -g' SAN=-fsanitize=thread suite-tsan

.PHONY: suite-tsan suite-fuzz
suite-tsan: $(filter $(BUILD)/tests/test_loader% $(BUILD)/tests/test_cuda,$(TEST_X))
	@tests/run.sh $(BUILD) $^

fuzz: ## every fuzzer for FUZZ_SECONDS under the sanitizers, over its seeds and random mutations
	@$(MAKE) BUILD=$(BUILD)/asan OPT='-O1 -g' \
	  SAN='-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer' suite-fuzz

suite-fuzz: $(FUZZ_X)
	@set -e; for f in $^; do $$f --seconds $(FUZZ_SECONDS) tests/seeds/$$(basename $$f); done

mutants: ## plant each fault of tests/mutants.txt in a copy; every one must be noticed (ONE=text: those named so)
	@tests/mutants.sh $(BUILD) '$(ONE)'

# Needs Python: the tests themselves compare with committed digests of what it gave.
parity: $(BUILD)/tests/test_photos ## compare pictures of every kind with Pillow (needs PYTHON with Pillow, and KIN_DATA)
	@test -n "$$KIN_DATA" || { echo "make parity needs KIN_DATA, the folder of the test data" >&2; exit 1; }
	@$(PYTHON) -c 'import PIL' || { echo "make parity needs Pillow: pip install Pillow, or PYTHON=path" >&2; exit 1; }
	@$(PYTHON) tests/golden/photos_golden.py $(BUILD)/parity
	@$(BUILD)/tests/test_photos $(BUILD)/parity

bench: $(BENCH_X) ## run every program of bench/
	@set -e; for b in $^; do echo "== $$b"; $$b; done

bench-peers: $(BUILD)/bench/step ## training steps beside PyTorch's, turn by turn (PYTHON="A B": interpreters that have torch)
	@bench/peers.sh $(PYTHON)

bench-gpu: $(CUDA_X) $(BUILD)/bench/ops $(BUILD)/bench/step ## ops and steps on a GPU, beside PyTorch's (8 minutes; figures to a file)
	@bench/gpu.sh $(BUILD) $(PYTHON)

tune: $(BUILD)/bench/tune ## own matrix products beside OpenBLAS, and rows for kernels/cpu/gemm_table.def
	@$<

# Everything that install writes, under PREFIX: folder, then files.
HOME_bin     = $(KIN)
HOME_lib     = $(LIB) $(CUDA_X)
HOME_include = include/kin.h
HOME_lib/pkgconfig    = $(BUILD)/kin.pc $(BUILD)/kin-static.pc
HOME_share/kin        = $(wildcard configs/*.cfg)
HOME_share/kin/models = $(wildcard configs/models/*.json)
HOME_share/kin/techniques = $(wildcard configs/techniques/*.cfg)
HOME_share/kin/demo   = $(wildcard configs/demo/*.cfg)
HOME_share/doc/kin    = LICENSE docs/example.c docs/example.py
HOME_share/bash-completion/completions  = $(BUILD)/completion/kin
HOME_share/zsh/site-functions           = $(BUILD)/completion/_kin
HOME_share/fish/vendor_completions.d    = $(BUILD)/completion/kin.fish
HOMES = bin lib include lib/pkgconfig share/kin share/kin/models share/kin/techniques share/kin/demo share/doc/kin \
        share/bash-completion/completions \
        share/zsh/site-functions share/fish/vendor_completions.d
TO    = $(DESTDIR)$(PREFIX)

install: all $(BUILD)/kin.pc $(BUILD)/completion/kin ## copy kin, libraries, kin.h, kin.pc, configs, completions under PREFIX
	@install -d $(addprefix $(TO)/,$(HOMES))
	@$(foreach h,$(HOMES),install -m $(if $(filter bin,$(h)),755,644) $(HOME_$(h)) $(TO)/$(h) &&) true
	@install -m 755 $(SO) $(TO)/lib/libkin.so.$(VERSION)
	@ln -sf libkin.so.$(VERSION) $(TO)/lib/$(SONAME) && ln -sf $(SONAME) $(TO)/lib/libkin.so
	@echo "kin $(VERSION) is in $(TO)$(if $(DESTDIR),,; if programs do not find libkin.so: ldconfig)"

uninstall: ## remove what install wrote
	@rm -f $(foreach h,$(HOMES),$(addprefix $(TO)/$(h)/,$(notdir $(HOME_$(h)))))
	@rm -f $(addprefix $(TO)/lib/,libkin.so.$(VERSION) $(SONAME) libkin.so)
	@rmdir $(addprefix $(TO)/,share/kin/models share/kin/techniques share/kin/demo share/kin share/doc/kin) 2>/dev/null || true

clean: ## remove what was built
	rm -rf $(BUILD)

# ---- rules -------------------------------------------------------------------------------------
# Compiled with other flags, or from another list of files: made again.
remember = mkdir -p $(@D); echo '$(1)' | cmp -s - $@ || echo '$(1)' >$@
$(BUILD)/flags: FORCE
	@$(if $(NEEDED),echo "kin needs: apt-get install $(NEEDED)   (or run: make test)" >&2; exit 1)
	@$(call remember,$(CC) $(CPPFLAGS) $(CFLAGS) $(NVCCFLAGS) $(EMUFLAGS) $(LDLIBS) $(CPUFLAGS) $(ISAS) $(shell $(CC) -dumpfullversion))
$(BUILD)/list: FORCE
	@$(call remember,$(LIB_O) $(TOOLS) $(HARN))
$(BUILD)/where: FORCE
	@$(call remember,$(PREFIX) $(LDLIBS) $(VERSION))

define compile
@mkdir -p $(@D)
$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(1) -c -o $@ $<
endef
Q = @echo "  cc  $@"; $(if $(V),set -x;)

$(BUILD)/%.o: %.c $(BUILD)/flags
	$(call compile)
$(BUILD)/kernels/ref/%.32.o: kernels/ref/%.c $(BUILD)/flags
	$(call compile,-DKIN_REAL=32)
$(BUILD)/kernels/ref/%.64.o: kernels/ref/%.c $(BUILD)/flags
	$(call compile,-DKIN_REAL=64)
define isa_rule
$$(BUILD)/kernels/cpu/%.$(1).o: kernels/cpu/%.c $$(BUILD)/flags
	$$(call compile,$$(CPUFLAGS) -DKIN_ISA=$(1) $$(ISA_$(1)))
endef
$(foreach i,$(ISAS),$(eval $(call isa_rule,$(i))))

$(LIB): $(LIB_O) $(BUILD)/list
	@rm -f $@
	@ar rcs $@ $(LIB_O)

# Of the library only what kin.h declares can be seen from outside (KIN_API); local: OpenMP's locks.
$(SO): $(LIB_O) $(BUILD)/list
	@echo '{ global: kin_*; local: *; };' >$(BUILD)/exports
	$(Q)$(CC) $(CFLAGS) -shared -Wl,-soname,$(SONAME) $(if $(SAN),,-Wl$(comma)-z$(comma)defs) \
	  -Wl,--version-script=$(BUILD)/exports -o $@ $(LIB_O) $(LDLIBS)
comma := ,

# kin.pc: libkin.so; kin-static.pc: libkin.a and what it needs.
about = 'prefix=$(PREFIX)' 'libdir=$${prefix}/lib' 'includedir=$${prefix}/include' '' 'Name: kin' 'Version: $(VERSION)' \
        'Description: pictures and words in one space: embeddings by two-tower models' 'Cflags: -I$${includedir}'
$(BUILD)/kin.pc: $(BUILD)/where
	@printf '%s\n' $(about) 'Libs: -L$${libdir} -lkin' 'Libs.private: -fopenmp $(LDLIBS)' >$@
	@printf '%s\n' $(about) 'Libs: $${libdir}/libkin.a -fopenmp $(LDLIBS)' >$(BUILD)/kin-static.pc

$(BUILD)/completion/kin: $(KIN)
	@mkdir -p $(@D)
	@$(KIN) completion bash >$@ && $(KIN) completion zsh >$(@D)/_kin && $(KIN) completion fish >$(@D)/kin.fish

# tests/test_fault_*.c make the k-th allocation fail.
$(BUILD)/tests/test_fault_%: LDFLAGS = -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc -Wl,--wrap=free
# tests/test_memory counts them.
$(BUILD)/tests/test_memory: LDFLAGS = $(foreach f,malloc calloc realloc mmap munmap,-Wl,--wrap=$(f))
link = $(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(1) $(LDLIBS)
$(BUILD)/kin: $(TOOLS:%.c=$(BUILD)/%.o) $(LIB) $(BUILD)/list
	$(call link)
$(BUILD)/tests/test_%: $(BUILD)/tests/test_%.o $(HARN:%.c=$(BUILD)/%.o) $(LIB) $(BUILD)/list
	$(call link,-lcmocka)
$(BUILD)/tests/fuzz_%: $(BUILD)/tests/fuzz_%.o $(BUILD)/tests/fuzz_main.o $(LIB) $(BUILD)/list
	$(call link)
$(BUILD)/bench/%: $(BUILD)/bench/%.o $(LIB) $(BUILD)/list
	$(call link)

# The plug-in: by nvcc for GPUs, and by g++ over the emulator (tests/cuemu) for tests on any machine.
NVCCFLAGS  = -std=c++17 -O3 -I. -Werror all-warnings $(foreach a,$(CUDA_ARCHS),-gencode arch=compute_$(a),code=sm_$(a)) \
             -Xcompiler -Wall,-Wextra,-Wshadow,-Werror,-fPIC,-fvisibility=hidden
EMUFLAGS   = -std=c++17 $(OPT) -I. -Itests/cuemu/include -MMD -MP -fPIC -fvisibility=hidden \
             -fno-strict-aliasing -Wall -Wextra -Wshadow -Werror -DKIN_CUDA_TILE=64 -DKIN_CUDA_WORKSPACE=4096
$(BUILD)/cuda/%.o: kernels/cuda/%.cu $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  nvcc  $@"; $(if $(V),set -x;) $(NVCC) $(NVCCFLAGS) -MMD -MP -MF $(@:.o=.d) -c -o $@ $<
$(BUILD)/libkin_cuda.so: $(CU:kernels/cuda/%.cu=$(BUILD)/cuda/%.o) $(PLUG_O)
	@echo "  nvcc  $@"; $(if $(V),set -x;) $(NVCC) -shared -o $@ $^ -lcublas -Xlinker -z,defs
$(BUILD)/cuemu/%.o: kernels/cuda/%.cu $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  c++ $@"; $(if $(V),set -x;) $(CXX) $(EMUFLAGS) $(SAN) -x c++ -c -o $@ $<
$(BUILD)/tests/cuemu/%.o: tests/cuemu/%.cu $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  c++ $@"; $(if $(V),set -x;) $(CXX) $(EMUFLAGS) $(SAN) -x c++ -c -o $@ $<
$(BUILD)/tests/test_cuemu: $(BUILD)/tests/cuemu/test_cuemu.o $(CUEMU:%.cpp=$(BUILD)/%.o) $(PLUG_O)
	@echo "  c++ $@"; $(if $(V),set -x;) $(CXX) $(SAN) -o $@ $^ -lcmocka
# The scheduler tells ThreadSanitizer what CUDA orders, and is not watched itself.
CUEMU_SAN = $(if $(findstring thread,$(SAN)),-DCUEMU_TSAN,$(SAN))
$(BUILD)/tests/cuemu/%.o: tests/cuemu/%.cpp $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  c++ $@"; $(if $(V),set -x;) $(CXX) $(EMUFLAGS) $(CUEMU_SAN) -c -o $@ $<
$(EMU_X): $(CU:kernels/cuda/%.cu=$(BUILD)/cuemu/%.o) $(CUEMU:%.cpp=$(BUILD)/%.o) $(PLUG_O)
	@echo "  c++ $@"; $(if $(V),set -x;) $(CXX) -shared $(SAN) -o $@ $^
$(BUILD)/cuemu/other/libkin_cuda.so: $(BUILD)/tests/cuemu/other_plugin.o
	@mkdir -p $(@D)
	$(Q)$(CC) -shared $(SAN) -o $@ $<
$(filter $(BUILD)/tests/test_cuda%,$(TEST_X)): $(EMU_X) $(BUILD)/cuemu/other/libkin_cuda.so

.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
