/* A CUDA runtime whose GPU is the host: what it allocates is malloc's, what it copies memcpy's.
   FAKE_CUDA_FAILS names a function that fails with status 2 (no memory) or FAKE_CUDA_STATUS. */
#include <stdlib.h>
#include <string.h>

typedef void *handle;
static long live_count;
static int recorded;

long live(void) { return live_count; }

static int fails(const char *name) {
    const char *named = getenv("FAKE_CUDA_FAILS"), *status = getenv("FAKE_CUDA_STATUS");
    return named && !strcmp(named, name) ? (status ? atoi(status) : 2) : 0;
}
static int take(const char *name, handle *out, size_t bytes) {
    int status = fails(name);
    if (!status) { *out = malloc(bytes); live_count++; }
    return status;
}
static int give(handle what) { free(what); live_count--; return 0; }

const char *cudaGetErrorString(int status) { return status == 2 ? "out of memory" : "some error"; }
int cudaRuntimeGetVersion(int *version) { *version = 12060; return fails("cudaRuntimeGetVersion"); }
int cudaGetDeviceProperties_v2(char *properties, int device) {
    memset(properties, 'x', 1000);
    strcpy(properties, "Orin (nvgpu)");
    return fails("cudaGetDeviceProperties");
}
int cudaDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 16 ? 8 : attribute == 75 ? 8 : attribute == 76 ? 7 : -1;
    return 0;
}
int cudaMemGetInfo(size_t *left, size_t *total) {
    *total = (size_t)64 << 30;  /* more than 32 bits hold */
    *left = *total - 1000 - live_count * 10;
    return 0;
}
int cudaMalloc(handle *out, size_t bytes) { return take("cudaMalloc", out, bytes); }
int cudaFree(handle what) { return give(what); }
int cudaMallocHost(handle *out, size_t bytes) { return take("cudaMallocHost", out, bytes); }
int cudaFreeHost(handle what) { return give(what); }
int cudaMemcpyAsync(handle to, handle from, size_t bytes, int kind, handle stream) {
    if (!stream || (kind != 1 && kind != 2)) return 1;
    memcpy(to, from, bytes);
    return fails("cudaMemcpyAsync");
}
int cudaStreamCreate(handle *out) { return take("cudaStreamCreate", out, 1); }
int cudaStreamSynchronize(handle stream) { return fails("cudaStreamSynchronize"); }
int cudaStreamDestroy(handle what) { return give(what); }
int cudaEventCreate(handle *out) { return take("cudaEventCreate", out, 1); }
int cudaEventRecord(handle event, handle stream) { recorded++; return stream ? 0 : 1; }
int cudaEventElapsedTime(float *ms, handle start, handle stop) {
    if (!recorded || start == stop) return 1;
    *ms = 1.5f;
    return 0;
}
int cudaEventDestroy(handle what) { return give(what); }
int cudaStreamBeginCapture(handle stream, int mode) { return mode == 1 ? 0 : 1; }
int cudaStreamEndCapture(handle stream, handle *graph) { return take("cudaStreamEndCapture", graph, 1); }
int cudaGraphInstantiateWithFlags(handle *out, handle graph, unsigned long long flags) {
    return flags ? 1 : take("cudaGraphInstantiateWithFlags", out, 1);
}
int cudaGraphLaunch(handle graph, handle stream) { return graph && stream ? 0 : 1; }
int cudaGraphExecDestroy(handle what) { return give(what); }
int cudaGraphDestroy(handle what) { return give(what); }
