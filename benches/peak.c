/* Prints the multiply-add peak of one core in FLOP/s: ACCUMULATORS independent chains of vectors of
   WIDTH floats, which stay in registers. Built and run by compare.py. */
#include <stdio.h>
#include <time.h>

typedef float vector __attribute__((vector_size(WIDTH * 4)));

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

int main(void) {
    const long iterations = 5000000;
    vector accumulators[ACCUMULATORS], factor, summand;
    for (int lane = 0; lane < WIDTH; lane++) {
        factor[lane] = 1.0000001f;
        summand[lane] = 1e-9f;
        for (int j = 0; j < ACCUMULATORS; j++) accumulators[j][lane] = j;
    }
    double best = 0;
    for (int round = 0; round < 7; round++) {
        double start = now();
        for (long i = 0; i < iterations; i++) {
#pragma GCC unroll 32
            for (int j = 0; j < ACCUMULATORS; j++) accumulators[j] = accumulators[j] * factor + summand;
        }
        double flops = iterations * 2.0 * ACCUMULATORS * WIDTH / (now() - start);
        if (flops > best) best = flops;
    }
    float sum = 0; /* printed, so that the loop is not dead code */
    for (int j = 0; j < ACCUMULATORS; j++) sum += accumulators[j][0];
    printf("%.0f %f\n", best, sum);
    return 0;
}
