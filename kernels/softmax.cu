// Softmax and its logarithm, their gradients, and cross entropy with labels.
//
// Shapes: x, y, gx, gy are (outer, length, inner), and the softmax runs along `length`; a column is one of the
// outer * inner sequences. Labels, losses and their gradients are (outer, inner).
// Launch: 256 threads; see columns.cuh.
// Why this way: maximum and sum are found in one pass (the sum is rescaled when the maximum grows), so x comes from memory
// once for them and, mostly from the cache, once more for the result. The sums are trees of fixed shape: reruns are equal.
#include "columns.cuh"

// The greatest of some values, and the sum of exp(value - top); the sum is 0 if there is none. -infinity adds nothing:
// with nothing else in it the column becomes NaN (exp(-infinity) / 0), and so it does with NaN or +infinity in it.
template <typename A> struct Exponentials {
    A top, sum;

    __device__ __forceinline__ void merge(const Exponentials& other) {
        if (sum == 0 || other.sum == 0) {
            if (sum == 0) *this = other;
        } else if (other.top > top) {
            sum = sum * exp(top - other.top) + other.sum;
            top = other.top;
        } else {
            sum += other.sum * exp(other.top - top);
        }
        if (sum == sum && top == infinity<A>()) sum = top - top;
    }

    __device__ __forceinline__ void add(A value) {
        if (value != -infinity<A>()) merge({value, A(1)});
    }
};

template <typename T, typename I>
__device__ __forceinline__ Exponentials<acc_t<T>> exponentials(const T* __restrict__ x, const Columns<I>& c, I column,
                                                               I count, Exponentials<acc_t<T>>* shared) {
    Exponentials<acc_t<T>> all = {};
    FOR_EACH_ELEMENT(I, k, c, column, count) all.add(load(x[c.index(column, k)]));
    return c.merged(all, shared);
}

// y: softmax, or its logarithm if LOG.
template <typename T, typename I, bool LOG>
__global__ void __launch_bounds__(THREADS)
softmax(const T* __restrict__ x, T* __restrict__ y, I length, I inner, int workers, I count) {
    __shared__ Exponentials<acc_t<T>> shared[THREADS];
    const Columns<I> c(length, inner, workers);
    FOR_EACH_COLUMN(I, column, c, count) {
        const auto all = exponentials(x, c, column, count, shared);
        const acc_t<T> factor = LOG ? log(all.sum) : 1 / all.sum;
        FOR_EACH_ELEMENT(I, k, c, column, count) {
            const I i = c.index(column, k);
            const acc_t<T> d = load(x[i]) - all.top;
            store(y[i], LOG ? d - factor : exp(d) * factor);
        }
    }
}

// gx = y (gy - sum(y gy)); with LOG, where y is the logarithm, gy - exp(y) sum(gy).
template <typename T, typename I, bool LOG>
__global__ void __launch_bounds__(THREADS)
softmax_grad(const T* __restrict__ y, const T* __restrict__ gy, T* __restrict__ gx, I length, I inner, int workers,
             I count) {
    __shared__ Sum<acc_t<T>> shared[THREADS];
    const Columns<I> c(length, inner, workers);
    FOR_EACH_COLUMN(I, column, c, count) {
        Sum<acc_t<T>> sum = {};
        FOR_EACH_ELEMENT(I, k, c, column, count) {
            const I i = c.index(column, k);
            sum.value += LOG ? load(gy[i]) : load(y[i]) * load(gy[i]);
        }
        sum = c.merged(sum, shared);
        FOR_EACH_ELEMENT(I, k, c, column, count) {
            const I i = c.index(column, k);
            store(gx[i], LOG ? load(gy[i]) - exp(load(y[i])) * sum.value : load(y[i]) * (load(gy[i]) - sum.value));
        }
    }
}

// How much a label counts: 0 if it is ignored, else its class's weight (1 if `weights` is null); NaN if there is no such
// class, which makes the mistake visible and reads no memory that is not ours.
template <typename A, typename L>
__device__ __forceinline__ A weight_of(L label, long long length, const A* weights, long long ignored, bool ignores) {
    if (ignores && label == ignored) return 0;
    if (label < 0 || label >= length) return infinity<A>() - infinity<A>();
    return weights ? weights[label] : A(1);
}

// log_y: the logarithm of softmax; loss: -log_y[label] times the weight of the label, 0 where that is ignored.
template <typename T, typename L, typename I>
__global__ void __launch_bounds__(THREADS)
cross_entropy(const T* __restrict__ x, const L* __restrict__ labels, const acc_t<T>* __restrict__ weights,
              long long ignored, bool ignores, T* __restrict__ loss, acc_t<T>* __restrict__ log_y, I length, I inner,
              int workers, I count) {
    using A = acc_t<T>;
    __shared__ Exponentials<A> shared[THREADS];
    const Columns<I> c(length, inner, workers);
    FOR_EACH_COLUMN(I, column, c, count) {
        const auto all = exponentials(x, c, column, count, shared);
        const A log_sum = log(all.sum);
        FOR_EACH_ELEMENT(I, k, c, column, count) {
            const I i = c.index(column, k);
            log_y[i] = load(x[i]) - all.top - log_sum;
        }
        if (c.worker == 0 && column < count) {
            const L label = labels[column];
            const A weight = weight_of<A>(label, length, weights, ignored, ignores);
            const bool known = label >= 0 && label < length && weight != 0;
            const A value = known ? load(x[c.index(column, label)]) - all.top - log_sum : A(0);
            store(loss[column], known ? -value * weight : weight);
        }
    }
}

// gx = (exp(log_y) - one-hot(label)) * gloss * weight. One thread for each of `count` elements. `step` is 1 if there is a
// gloss for each label, 0 if there is one for all.
template <typename A, typename L, typename I>
__global__ void cross_entropy_grad(const A* __restrict__ gloss, int step, const A* __restrict__ log_y,
                                   const L* __restrict__ labels, const A* __restrict__ weights, long long ignored,
                                   bool ignores, A* __restrict__ gx, I length, I inner, I count) {
    GRID_STRIDE_LOOP(I, i, count) {
        const I k = i / inner % length, column = i / inner / length * inner + i % inner;
        const L label = labels[column];
        const A weight = weight_of<A>(label, length, weights, ignored, ignores);
        const A d = exp(log_y[i]) - (label == static_cast<long long>(k) ? A(1) : A(0));
        gx[i] = ignores && label == ignored ? A(0) : d * weight * gloss[column * step];
    }
}

// The sum of some losses, and the number of labels that are not ignored.
template <typename A> struct CountedSum {
    A sum;
    long long count;

    __device__ __forceinline__ void merge(const CountedSum& other) {
        sum += other.sum;
        count += other.count;
    }
};

// mean: the sum of n losses times `given`, or, if there is a `scale`, divided by the number of labels that are not
// ignored, or 1 if all are; what it was multiplied with is written there. One block: the losses are few.
template <typename T, typename L>
__global__ void mean_loss(const T* __restrict__ loss, const L* __restrict__ labels, long long ignored, double given,
                          T* __restrict__ mean, acc_t<T>* __restrict__ scale, long long n) {
    using A = acc_t<T>;
    __shared__ CountedSum<A> shared[512];
    CountedSum<A> all = {};
    for (long long i = threadIdx.x; i < n; i += blockDim.x)
        all.merge({static_cast<A>(load(loss[i])), labels[i] != ignored});
    all = merge_in_block(all, shared, 1);
    if (threadIdx.x > 0) return;
    const A factor = scale ? A(1) / static_cast<A>(all.count > 1 ? all.count : 1) : static_cast<A>(given);
    store(mean[0], all.sum * factor);
    if (scale) scale[0] = factor;
}
