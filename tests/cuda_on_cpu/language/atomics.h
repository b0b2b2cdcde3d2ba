// Atomic operations. Threads take turns only at barriers, so plain accesses are atomic; the race detector is told.
#pragma once

#define COC_ATOMIC template <class T, class U> __attribute__((no_sanitize("thread"))) inline T
#define COC_ATOMIC_BODY(...)               \
    {                                      \
        coc_atomic_access(p, sizeof(T));   \
        T old = *p;                        \
        __VA_ARGS__;                       \
        return old;                        \
    }
COC_ATOMIC atomicAdd(T* p, U v) COC_ATOMIC_BODY(*p = T(old + T(v)))
COC_ATOMIC atomicSub(T* p, U v) COC_ATOMIC_BODY(*p = T(old - T(v)))
COC_ATOMIC atomicExch(T* p, U v) COC_ATOMIC_BODY(*p = T(v))
COC_ATOMIC atomicMax(T* p, U v) COC_ATOMIC_BODY(if (T(v) > old) *p = T(v))
COC_ATOMIC atomicMin(T* p, U v) COC_ATOMIC_BODY(if (T(v) < old) *p = T(v))
COC_ATOMIC atomicAnd(T* p, U v) COC_ATOMIC_BODY(*p = old & T(v))
COC_ATOMIC atomicOr(T* p, U v) COC_ATOMIC_BODY(*p = old | T(v))
COC_ATOMIC atomicXor(T* p, U v) COC_ATOMIC_BODY(*p = old ^ T(v))
COC_ATOMIC atomicInc(T* p, U v) COC_ATOMIC_BODY(*p = old >= T(v) ? T(0) : T(old + 1))
COC_ATOMIC atomicDec(T* p, U v) COC_ATOMIC_BODY(*p = old == 0 || old > T(v) ? T(v) : T(old - 1))
template <class T, class U, class V>
__attribute__((no_sanitize("thread"))) inline T atomicCAS(T* p, U expected, V v) COC_ATOMIC_BODY(
    if (old == T(expected)) *p = T(v))
template <class T, class U> inline T atomicAdd_block(T* p, U v) { return atomicAdd(p, v); }
template <class T, class U> inline T atomicAdd_system(T* p, U v) { return atomicAdd(p, v); }
