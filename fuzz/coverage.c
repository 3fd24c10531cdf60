/* Lets libFuzzer see which branches of the compiled engine ran, and what they compared.
 *
 * gcc's -fsanitize-coverage=trace-pc,trace-cmp calls __sanitizer_cov_trace_pc at every edge and
 * __sanitizer_cov_trace_cmp* at every comparison. libFuzzer, which atheris brings with it, counts edges in an array
 * that somebody has to register, and refuses trace-pc. This is the bridge: one counter for each edge, by its address;
 * comparisons are passed on. Load it with RTLD_GLOBAL before the engine; nothing is counted until `begin_counting`.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>

#define EDGES (1 << 16)

static uint8_t counters[EDGES];
static uintptr_t places[EDGES][2];

void __sanitizer_cov_trace_pc(void) {
    uintptr_t place = (uintptr_t)__builtin_return_address(0);
    counters[(place ^ (place >> 17)) & (EDGES - 1)]++;
}

/* A tail call, so that libFuzzer finds the comparison's own address on the stack. */
#define FORWARD(name, type)                                          \
    static void (*real_##name)(type, type);                          \
    void __sanitizer_cov_trace_##name(type a, type b) {              \
        if (real_##name) real_##name(a, b);                          \
    }

FORWARD(cmp1, uint8_t)
FORWARD(cmp2, uint16_t)
FORWARD(cmp4, uint32_t)
FORWARD(cmp8, uint64_t)
FORWARD(const_cmp1, uint8_t)
FORWARD(const_cmp2, uint16_t)
FORWARD(const_cmp4, uint32_t)
FORWARD(const_cmp8, uint64_t)

static void (*real_switch)(uint64_t, uint64_t *);
void __sanitizer_cov_trace_switch(uint64_t value, uint64_t *cases) {
    if (real_switch) real_switch(value, cases);
}

/* gcc has these besides; libFuzzer has no use for them. */
void __sanitizer_cov_trace_cmpf(float a, float b) {}
void __sanitizer_cov_trace_cmpd(double a, double b) {}

/* Begin to count into the libFuzzer of a shared object that is loaded already. Returns 0 when that worked. */
int begin_counting(const char *object) {
    void *library = dlopen(object, RTLD_NOW | RTLD_NOLOAD);
    void (*counters_init)(uint8_t *, uint8_t *);
    void (*places_init)(const uintptr_t *, const uintptr_t *);
    if (library == NULL) return 1;
    counters_init = (void (*)(uint8_t *, uint8_t *))dlsym(library, "__sanitizer_cov_8bit_counters_init");
    places_init = (void (*)(const uintptr_t *, const uintptr_t *))dlsym(library, "__sanitizer_cov_pcs_init");
    if (counters_init == NULL || places_init == NULL) return 2;
    for (size_t i = 0; i < EDGES; i++) places[i][0] = i + 1;
    counters_init(counters, counters + EDGES);
    places_init(&places[0][0], &places[EDGES][0]);
#define FIND(name, type) real_##name = (void (*)(type, type))dlsym(library, "__sanitizer_cov_trace_" #name)
    FIND(cmp1, uint8_t);
    FIND(cmp2, uint16_t);
    FIND(cmp4, uint32_t);
    FIND(cmp8, uint64_t);
    FIND(const_cmp1, uint8_t);
    FIND(const_cmp2, uint16_t);
    FIND(const_cmp4, uint32_t);
    FIND(const_cmp8, uint64_t);
    real_switch = (void (*)(uint64_t, uint64_t *))dlsym(library, "__sanitizer_cov_trace_switch");
    return 0;
}
