// Warp operations, in terms of one exchange between the lanes.
#pragma once

inline void __syncwarp(unsigned mask = 0xffffffffu) { coc_warp_exchange(mask, nullptr, nullptr, 0, -1); }

inline unsigned __activemask() {
    int lanes = coc_now.threads - coc_now.warp * 32;
    return lanes >= 32 ? 0xffffffffu : (1u << lanes) - 1;
}

template <class T> inline T coc_from_lane(unsigned mask, T value, int lane) {
    T in = value, out;
    coc_warp_exchange(mask, &in, &out, sizeof(T), lane);
    return out;
}
template <class T> inline T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
    return coc_from_lane(mask, value, (coc_now.lane & ~(width - 1)) | (source & (width - 1)));
}
template <class T> inline T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = 32) {
    int lane = coc_now.lane, within = lane & (width - 1);
    return coc_from_lane(mask, value, within + int(distance) < width ? lane + int(distance) : lane);
}
template <class T> inline T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = 32) {
    int lane = coc_now.lane, within = lane & (width - 1);
    return coc_from_lane(mask, value, within >= int(distance) ? lane - int(distance) : lane);
}
template <class T> inline T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32) {
    int lane = coc_now.lane, source = lane ^ bits;
    return coc_from_lane(mask, value, source / width <= lane / width ? source : lane);
}

// f(result, value of a lane) over the lanes that take part.
template <class T, class R, class F> inline R coc_over_lanes(unsigned mask, T value, R result, F f) {
    T in = value, out[32];
    unsigned group = coc_warp_exchange(mask, &in, out, sizeof(T), -1);
    for (int lane = 0; lane < 32; lane++)
        if (group >> lane & 1) result = f(result, out[lane], lane);
    return result;
}
inline unsigned __ballot_sync(unsigned mask, int p) {
    return coc_over_lanes(mask, p, 0u, [](unsigned r, int v, int lane) { return r | unsigned(v != 0) << lane; });
}
inline int __any_sync(unsigned mask, int p) {
    return coc_over_lanes(mask, p, 0, [](int r, int v, int) { return int(r || v); });
}
inline int __all_sync(unsigned mask, int p) {
    return coc_over_lanes(mask, p, 1, [](int r, int v, int) { return int(r && v); });
}
template <class T> inline unsigned __match_any_sync(unsigned mask, T value) {
    return coc_over_lanes(mask, value, 0u, [=](unsigned r, T v, int lane) { return r | unsigned(v == value) << lane; });
}
template <class T> inline T __reduce_add_sync(unsigned mask, T value) {
    return coc_over_lanes(mask, value, T(0), [](T r, T v, int) { return T(r + v); });
}
template <class T> inline T __reduce_max_sync(unsigned mask, T value) {
    return coc_over_lanes(mask, value, value, [](T r, T v, int) { return r < v ? v : r; });
}
template <class T> inline T __reduce_min_sync(unsigned mask, T value) {
    return coc_over_lanes(mask, value, value, [](T r, T v, int) { return v < r ? v : r; });
}
template <class T> inline T __reduce_and_sync(unsigned mask, T value) {
    return coc_over_lanes(mask, value, value, [](T r, T v, int) { return T(r & v); });
}
template <class T> inline T __reduce_or_sync(unsigned mask, T value) {
    return coc_over_lanes(mask, value, value, [](T r, T v, int) { return T(r | v); });
}
