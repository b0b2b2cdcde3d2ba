// CUDA C++ for g++: included before every kernel.
//
// Types and the arithmetic of __half and __nv_bfloat16 come from the toolkit's own headers, which have host versions.
#pragma once
#include <algorithm>
#include <cassert>
#include <cfloat>
#include <climits>
#include <math.h>  // not <cmath>: here sqrt(float) is one of floats, as on a device
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <utility>
#include "thread.h"

#define CUDA_ON_CPU 1
#define __CUDACC_VER_MAJOR__ 13
#define __CUDACC_VER_MINOR__ 0

#include <vector_types.h>
#include <vector_functions.h>
#include <cuda_fp16.h>
#include <cuda_bf16.h>

#include "keywords.h"
#include "warp.h"
#include "atomics.h"
#include "intrinsics.h"
#include "tensor_cores.h"
#include "entry.h"
