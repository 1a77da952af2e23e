/* Recordings: what a program launches, as one CUDA graph (core/replay.c says when). */
#include "kernels/cuda/gpu.h"

static kin_cuda_dev *dev(kin_backend *b)
{
    return (kin_cuda_dev *)b->dev;
}

static bool record(kin_backend *b)
{
    const cudaError_t e = cudaStreamBeginCapture(dev(b)->stream, cudaStreamCaptureModeThreadLocal);
    kin_cuda_note(dev(b), e, "recording a CUDA graph");
    return e == cudaSuccess;
}

static void *recorded(kin_backend *b)
{
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t made = nullptr;
    cudaError_t e = cudaStreamEndCapture(dev(b)->stream, &graph);
    if (e == cudaSuccess) e = cudaGraphInstantiate(&made, graph, 0);
    kin_cuda_note(dev(b), e, "making a CUDA graph (graphs = false does without)");
    if (graph) cudaGraphDestroy(graph);
    return e == cudaSuccess ? made : nullptr;
}

static void replay(kin_backend *b, void *recording)
{
    kin_cuda_note(dev(b), cudaGraphLaunch((cudaGraphExec_t)recording, dev(b)->stream),
                  "launching a CUDA graph");
}

static void forget(kin_backend *b, void *recording)
{
    kin_cuda_note(dev(b), cudaGraphExecDestroy((cudaGraphExec_t)recording), "cudaGraphExecDestroy");
}

void kin_cuda_recordings_open(kin_cuda_dev *d)
{
    d->backend.record = record;
    d->backend.recorded = recorded;
    d->backend.replay = replay;
    d->backend.forget = forget;
}
