/* Prints the bandwidth of copies between arrays of MEGABYTES each in bytes read and written per second: the best of
   cached stores and of non-temporal ones, with as many threads as the first argument says. Built and run by
   kernels.py. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { ROUNDS = 7, MAX_THREADS = 256 };

static char *from, *to;
static size_t bytes;
static int threads, streaming;
static pthread_barrier_t barrier;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void copy(char *target, const char *source, size_t size) {
#if defined(__AVX512F__)
    for (size_t i = 0; i < size; i += 64) {
        __m512i v = _mm512_load_si512((const void *)(source + i));
        if (streaming) _mm512_stream_si512((void *)(target + i), v);
        else _mm512_store_si512((void *)(target + i), v);
    }
    _mm_sfence();
#elif defined(__AVX__)
    for (size_t i = 0; i < size; i += 32) {
        __m256i v = _mm256_load_si256((const __m256i *)(source + i));
        if (streaming) _mm256_stream_si256((__m256i *)(target + i), v);
        else _mm256_store_si256((__m256i *)(target + i), v);
    }
    _mm_sfence();
#else
    memcpy(target, source, size);
#endif
}

static void *work(void *argument) {
    size_t number = (size_t)argument, part = bytes / threads / 4096 * 4096;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&barrier);
        copy(to + number * part, from + number * part, part);
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

int main(int argc, char **argv) {
    threads = argc > 1 ? atoi(argv[1]) : 1;
    if (threads < 1 || threads > MAX_THREADS) return 1;
    bytes = (size_t)MEGABYTES << 20;
    from = aligned_alloc(4096, bytes);
    to = aligned_alloc(4096, bytes);
    if (!from || !to) return 1;
    memset(from, 1, bytes);
    memset(to, 2, bytes);
    double best = 0;
    for (streaming = 0; streaming < 2; streaming++) {
        pthread_t workers[MAX_THREADS];
        pthread_barrier_init(&barrier, NULL, threads + 1);
        for (int i = 0; i < threads; i++) pthread_create(&workers[i], NULL, work, (void *)(size_t)i);
        for (int round = 0; round < ROUNDS; round++) {
            pthread_barrier_wait(&barrier);
            double start = now();
            pthread_barrier_wait(&barrier);
            double rate = 2.0 * (bytes / threads / 4096 * 4096) * threads / (now() - start);
            if (rate > best) best = rate;
        }
        for (int i = 0; i < threads; i++) pthread_join(workers[i], NULL);
        pthread_barrier_destroy(&barrier);
    }
    printf("%.0f\n", best);
    return 0;
}
