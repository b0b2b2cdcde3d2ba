// Tensor cores and asynchronous copies as kernels/tensor_cores.cuh has them: what its functions, one PTX instruction
// each, do on a device.
#pragma once

inline void coc_aligned(const void* p, int bytes) {
    if (reinterpret_cast<uintptr_t>(p) % bytes) coc_fail("misaligned address");
}

// A copy poisons its target when it is issued and writes it when the thread waits for its group: too early a copy spoils
// what others still read, and too few waits leave poison.
struct AsyncCopies {
    template <int BYTES> void copy(void* shared, const void* global, bool there) {
        static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16);
        using Unit = std::conditional_t<BYTES == 16, uint4, std::conditional_t<BYTES == 8, uint2, unsigned>>;
        coc_aligned(shared, BYTES);
        if (there) coc_aligned(global, BYTES);
        if (end == most) coc_fail("more copies under way than this equipment has room for");
        memset(shared, 0xCB, BYTES);
        pending[end++] = {shared, there ? global : nullptr, groups, [](void* to, const void* from) {
            *static_cast<Unit*>(to) = from ? *static_cast<const Unit*>(from) : Unit{};
        }};
    }
    void close() { groups++; }
    template <int N> void wait() {
        int kept = 0;
        for (int i = 0; i < end; i++)
            if (pending[i].group < groups - N) pending[i].run(pending[i].to, pending[i].from);
            else pending[kept++] = pending[i];
        end = kept;
    }

  private:
    struct Copy { void* to; const void* from; int group; void (*run)(void*, const void*); };
    static const int most = 256;
    Copy pending[most];
    int end = 0, groups = 0;
};

template <bool TURNED> inline void load_matrices(unsigned (&part)[4], const void* row) {
    coc_aligned(row, 16);
    const void* rows[32];
    coc_warp_exchange(0xffffffffu, &row, rows, sizeof row, -1);
    int line = coc_now.lane / 4, word = coc_now.lane % 4;
    for (int i = 0; i < 4; i++) {
        if (TURNED) {
            auto at = [&](int r) { return unsigned(static_cast<const uint16_t*>(rows[8 * i + r])[line]); };
            part[i] = at(2 * word) | at(2 * word + 1) << 16;
        } else {
            part[i] = static_cast<const unsigned*>(rows[8 * i + line])[word];
        }
    }
}

// The numbers in the 4 bytes of a fragment: two of 16 bits, or a float of which a tensor core sees the first 19 bits.
template <class T> inline void coc_numbers(unsigned bits, float* out) {
    for (int i = 0; i < 2; i++) {
        T x;
        uint16_t half = uint16_t(bits >> 16 * i);
        memcpy(&x, &half, 2);
        out[i] = float(x);
    }
}
template <> inline void coc_numbers<float>(unsigned bits, float* out) { *out = __uint_as_float(bits & ~0x1fffu); }

// Tensor cores cut off what a float does not hold.
inline float coc_towards_zero(double x) {
    float y = float(x);
    return fabs(double(y)) > fabs(x) ? nextafterf(y, 0) : y;
}

template <class T> inline void multiply_add(float (&sum)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    const int n = 4 / sizeof(T);  // numbers in 4 bytes
    float mine[6 * n], all[32][6 * n];
    for (int i = 0; i < 6; i++) coc_numbers<T>(i < 4 ? a[i] : b[i - 4], mine + i * n);
    coc_warp_exchange(0xffffffffu, mine, all, sizeof mine, -1);
    int row = coc_now.lane / 4, column = coc_now.lane % 4 * 2;
    for (int i = 0; i < 4; i++) {
        double total = sum[i];
        for (int k = 0; k < 8 * n; k++) {
            int lane = k / n % 4, part = k / (4 * n), which = k % n;
            total += double(all[4 * row + lane][(i / 2 + 2 * part) * n + which]) *
                     all[4 * (column + i % 2) + lane][(4 + part) * n + which];
        }
        sum[i] = coc_towards_zero(total);
    }
}

inline unsigned round_to_tf32(unsigned bits) {
    return (bits & 0x7f800000u) == 0x7f800000u ? bits : (bits + 0x1000u) & ~0x1fffu;
}
