/* Prints the bandwidth of copies between arrays of MEGABYTES each in bytes read and written per second: the better of
   cached stores and of non-temporal ones, each the median of some rounds, with as many threads as the first argument
   says. A round begins when its first thread does and ends when its last one has: a clock that the main thread reads
   behind the barrier may start late where there are no more cores than threads. Huge pages where the system gives
   them, as numpy asks for too. Built and run by kernels.py. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { ROUNDS = 11, MAX_THREADS = 256, HUGE_PAGE = 2 << 20 };

static char *from, *to;
static size_t bytes;
static int threads, streaming;
static pthread_barrier_t barrier;
static double begins[MAX_THREADS][ROUNDS], ends[MAX_THREADS][ROUNDS];

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
        begins[number][round] = now();
        copy(to + number * part, from + number * part, part);
        ends[number][round] = now();
    }
    return NULL;
}

static int ascending(const void *a, const void *b) {
    double difference = *(const double *)a - *(const double *)b;
    return (difference > 0) - (difference < 0);
}

/* Memory of its own pages, written once. */
static char *pages(int value) {
    char *memory = aligned_alloc(HUGE_PAGE, bytes);
    if (!memory) exit(1);
#ifdef MADV_HUGEPAGE
    madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    return memset(memory, value, bytes);
}

/* Bytes per second of the median round. */
static double median_rate(void) {
    double times[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        double begin = begins[0][round], end = ends[0][round];
        for (int i = 1; i < threads; i++) {
            if (begins[i][round] < begin) begin = begins[i][round];
            if (ends[i][round] > end) end = ends[i][round];
        }
        times[round] = end - begin;
    }
    qsort(times, ROUNDS, sizeof *times, ascending);
    return 2.0 * (bytes / threads / 4096 * 4096) * threads / times[ROUNDS / 2];
}

int main(int argc, char **argv) {
    threads = argc > 1 ? atoi(argv[1]) : 1;
    if (threads < 1 || threads > MAX_THREADS) return 1;
    bytes = (size_t)MEGABYTES << 20;
    from = pages(1);
    to = pages(2);
    double best = 0;
    for (streaming = 0; streaming < 2; streaming++) {
        pthread_t workers[MAX_THREADS];
        pthread_barrier_init(&barrier, NULL, threads);
        for (int i = 0; i < threads; i++) pthread_create(&workers[i], NULL, work, (void *)(size_t)i);
        for (int i = 0; i < threads; i++) pthread_join(workers[i], NULL);
        pthread_barrier_destroy(&barrier);
        double rate = median_rate();
        if (rate > best) best = rate;
    }
    printf("%.0f\n", best);
    return 0;
}
