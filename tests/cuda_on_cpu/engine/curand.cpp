// libcurand.so.10: right distributions, but not cuRAND's own sequences.
#include "engine.h"
#include <cmath>
#include <cstdio>

using namespace engine;
int unsupported(const char* name) {
    fprintf(stderr, "%s is not there on the CPU\n", name);
    return 999;  // CURAND_STATUS_INTERNAL_ERROR
}

namespace {
struct Generator {
    uint64_t seed = 0, position = 0;
    Handle stream = 0;

    uint64_t next() {  // SplitMix64 of a counter
        uint64_t z = seed * 0x2545F4914F6CDD1D + position++ * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
        z = (z ^ z >> 27) * 0x94D049BB133111EB;
        return z ^ z >> 31;
    }
    double uniform() { return double((next() >> 11) + 1) * 0x1p-53; }  // in (0, 1], as cuRAND has it
    double normal() { return std::sqrt(-2 * std::log(uniform())) * std::cos(6.283185307179586 * uniform()); }
};

template <class T, class F> int generate(Generator* g, T* out, size_t n, F draw) {
    count("curand");
    if (null_driver) return 0;
    return submit(g->stream, [=] {
        for (size_t i = 0; i < n; i++) out[i] = T(draw(g));
        return int(success);
    }) ? 201 : 0;
}
const int length_not_multiple = 105;  // normal numbers come in pairs
}  // namespace

extern "C" {
int curandCreateGenerator(Generator** g, int) { *g = new Generator; return 0; }
int curandDestroyGenerator(Generator* g) { synchronize(g->stream); delete g; return 0; }
int curandGetVersion(int* v) { *v = 10400; return 0; }
int curandSetStream(Generator* g, void* s) { g->stream = reinterpret_cast<Handle>(s); return 0; }
int curandSetGeneratorOrdering(Generator*, int) { return 0; }
int curandSetPseudoRandomGeneratorSeed(Generator* g, unsigned long long seed) {
    synchronize(g->stream);
    g->seed = seed;
    g->position = 0;
    return 0;
}
int curandSetGeneratorOffset(Generator* g, unsigned long long position) {
    synchronize(g->stream);
    g->position = position;
    return 0;
}
int curandGenerate(Generator* g, unsigned* out, size_t n) {
    return generate(g, out, n, [](Generator* g) { return unsigned(g->next() >> 32); });
}
int curandGenerateLongLong(Generator* g, unsigned long long* out, size_t n) {
    return generate(g, out, n, [](Generator* g) { return g->next(); });
}
int curandGenerateUniform(Generator* g, float* out, size_t n) {
    return generate(g, out, n, [](Generator* g) { return float((g->next() >> 40) + 1) * 0x1p-24f; });
}
int curandGenerateUniformDouble(Generator* g, double* out, size_t n) {
    return generate(g, out, n, [](Generator* g) { return g->uniform(); });
}
int curandGenerateNormal(Generator* g, float* out, size_t n, float mean, float deviation) {
    if (n & 1) return length_not_multiple;
    return generate(g, out, n, [=](Generator* g) { return mean + deviation * g->normal(); });
}
int curandGenerateNormalDouble(Generator* g, double* out, size_t n, double mean, double deviation) {
    if (n & 1) return length_not_multiple;
    return generate(g, out, n, [=](Generator* g) { return mean + deviation * g->normal(); });
}
int curandGenerateLogNormal(Generator* g, float* out, size_t n, float mean, float deviation) {
    if (n & 1) return length_not_multiple;
    return generate(g, out, n, [=](Generator* g) { return std::exp(mean + deviation * g->normal()); });
}
int curandGenerateLogNormalDouble(Generator* g, double* out, size_t n, double mean, double deviation) {
    if (n & 1) return length_not_multiple;
    return generate(g, out, n, [=](Generator* g) { return std::exp(mean + deviation * g->normal()); });
}
}
