// COC_KERNEL(symbol, "name", meets, function) exports a kernel for the engine to find.
#pragma once

template <auto F> struct coc_entry;
template <class... A, void (*F)(A...)> struct coc_entry<F> {
    template <size_t... I>
    __attribute__((no_sanitize("thread"))) static void call(void** p, std::index_sequence<I...>) {
        F(*static_cast<std::remove_reference_t<A>*>(p[I])...);
    }
    __attribute__((no_sanitize("thread"))) static void body(void** p) { call(p, std::index_sequence_for<A...>()); }
    static constexpr int count = sizeof...(A);
    static constexpr unsigned sizes[sizeof...(A) + 1] = {sizeof(A)..., 0};
};

#define COC_KERNEL(symbol, name, meets, ...)                                                     \
    extern "C" __attribute__((visibility("default"))) coc_kernel symbol = {                      \
        name, coc_entry<(__VA_ARGS__)>::body, meets, coc_entry<(__VA_ARGS__)>::count, coc_entry<(__VA_ARGS__)>::sizes};
