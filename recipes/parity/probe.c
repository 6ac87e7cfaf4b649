/* What only a running program can find out of a kernel: which newer system calls answer, and
 * whether clock_gettime is served by the vDSO. Prints lines "key value"; needs no file and no
 * argument, and changes nothing: every call is made with arguments that a kernel refuses, in a
 * child of its own, since a seccomp filter may kill who calls. */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOWHERE ((void *)8)

struct call {
    const char *name;
    long number;
    long a, b, c, d, e, f;
};

static const struct call calls[] = {
    {"clone3", 435, 0, 0, 0, 0, 0, 0},
    {"openat2", 437, -1, (long)NOWHERE, (long)NOWHERE, 0, 0, 0},
    {"faccessat2", 439, -1, (long)NOWHERE, 0, 0, 0, 0},
    {"futex_waitv", 449, 0, 0, 0, 0, 0, 0},
    {"io_uring_setup", 425, 0, 0, 0, 0, 0, 0},
    {"pidfd_open", 434, -1, 0, 0, 0, 0, 0},
    {"pidfd_send_signal", 424, -1, 0, 0, 0, 0, 0},
    {"close_range", 436, 2, 1, 0, 0, 0, 0},
    {"epoll_pwait2", 441, -1, 0, 0, 0, 0, 0},
    {"landlock_create_ruleset", 444, 0, 0, -1, 0, 0, 0},
    {"cachestat", 451, -1, 0, 0, 0, 0, 0},
#ifdef SYS_statx
    {"statx", SYS_statx, -1, (long)NOWHERE, 0, 0, 0, 0},
#endif
#ifdef SYS_getrandom
    {"getrandom", SYS_getrandom, 0, 0, -1, 0, 0, 0},
#endif
#ifdef SYS_memfd_create
    {"memfd_create", SYS_memfd_create, (long)NOWHERE, 0, 0, 0, 0, 0},
#endif
#ifdef SYS_copy_file_range
    {"copy_file_range", SYS_copy_file_range, -1, 0, -1, 0, 0, -1},
#endif
#ifdef SYS_membarrier
    {"membarrier", SYS_membarrier, -1, -1, 0, 0, 0, 0},
#endif
#ifdef SYS_bpf
    {"bpf", SYS_bpf, -1, 0, 0, 0, 0, 0},
#endif
#ifdef SYS_perf_event_open
    {"perf_event_open", SYS_perf_event_open, (long)NOWHERE, 0, -1, -1, 0, 0},
#endif
#if __SIZEOF_LONG__ == 4
    {"clock_gettime64", 403, 0, (long)NOWHERE, 0, 0, 0, 0},
    {"clock_nanosleep_time64", 407, 0, 0, (long)NOWHERE, 0, 0, 0},
    {"futex_time64", 422, (long)NOWHERE, 129, 0, 0, 0, 0}, /* wake nobody: an unknown operation is ENOSYS */
    {"ppoll_time64", 414, (long)NOWHERE, 1, (long)NOWHERE, 0, 0, 0},
#endif
};

static const char *word(int code) {
    return code == ENOSYS ? "ENOSYS" : code == EPERM ? "EPERM" : code == EACCES ? "EACCES" : "works";
}

/* The answer of `make` in a child: its exit code is errno. */
static const char *in_child(int (*make)(const struct call *), const struct call *one) {
    int status;
    pid_t child = fork();
    if (child == 0) _exit(make(one));
    if (child < 0 || waitpid(child, &status, 0) != child) return "no child could be made";
    if (WIFSIGNALED(status)) return "killed";
    return word(WEXITSTATUS(status));
}

static int make_call(const struct call *one) {
    long got = syscall(one->number, one->a, one->b, one->c, one->d, one->e, one->f);
    return got < 0 ? errno : 0;
}

static int make_userns(const struct call *one) {
    (void)one;
    return unshare(CLONE_NEWUSER) < 0 ? errno : 0;
}

typedef int clock_call(clockid_t, void *);

static size_t count_symbols(const uint32_t *hash, const uint32_t *gnu) {
    size_t last = 0;
    if (hash) return hash[1];
    if (!gnu) return 0;
    const uint32_t *buckets = gnu + 4 + gnu[2] * (sizeof(ElfW(Addr)) / 4);
    const uint32_t *chain = buckets + gnu[0];
    for (uint32_t i = 0; i < gnu[0]; i++)
        if (buckets[i] > last) last = buckets[i];
    if (last < gnu[1]) return 0;
    while (!(chain[last - gnu[1]] & 1)) last++;
    return last + 1;
}

/* The clock_gettime of the vDSO, which the Go runtime calls too, or NULL (vdso(7)). */
static clock_call *find_vdso(void) {
    static const char *const names[] = {"__vdso_clock_gettime64", "__vdso_clock_gettime",
                                        "__kernel_clock_gettime64", "__kernel_clock_gettime"};
    char *base = (char *)getauxval(AT_SYSINFO_EHDR);
    if (!base) return NULL;
    ElfW(Ehdr) *head = (void *)base;
    ElfW(Phdr) *segments = (void *)(base + head->e_phoff);
    ElfW(Dyn) *dynamic = NULL;
    ptrdiff_t slide = 0;
    int loaded = 0;
    for (int i = 0; i < head->e_phnum; i++) {
        if (segments[i].p_type == PT_LOAD && !loaded++)
            slide = base + segments[i].p_offset - (char *)segments[i].p_vaddr;
        if (segments[i].p_type == PT_DYNAMIC) dynamic = (void *)(base + segments[i].p_offset);
    }
    const char *strings = NULL;
    ElfW(Sym) *symbols = NULL;
    uint32_t *hash = NULL, *gnu = NULL;
    for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
        void *place = (char *)dynamic->d_un.d_ptr + slide;
        if (dynamic->d_tag == DT_STRTAB) strings = place;
        if (dynamic->d_tag == DT_SYMTAB) symbols = place;
        if (dynamic->d_tag == DT_HASH) hash = place;
        if (dynamic->d_tag == DT_GNU_HASH) gnu = place;
    }
    if (!strings || !symbols) return NULL;
#if defined(__s390x__)
    size_t count = gnu ? count_symbols(NULL, gnu) : 0; /* its DT_HASH has 64-bit words */
#else
    size_t count = count_symbols(hash, gnu);
#endif
    for (size_t n = 0; n < sizeof names / sizeof *names; n++)
        for (size_t i = 0; i < count; i++)
            if (symbols[i].st_shndx && !strcmp(strings + symbols[i].st_name, names[n]))
                return (clock_call *)((char *)symbols[i].st_value + slide);
    return NULL;
}

#ifdef SYS_clock_gettime
#define RAW_CLOCK SYS_clock_gettime
#else
#define RAW_CLOCK 403 /* clock_gettime64: musl has no other name for it on 32-bit machines */
#endif

static int raw_clock(clockid_t id, void *when) { return syscall(RAW_CLOCK, id, when); }

/* Nanoseconds of one call: the best of several rounds, since other work only adds. */
static long cost(clock_call *make) {
    enum { ROUNDS = 25, CALLS = 400 };
    char when[64];
    struct timespec begun, ended;
    long best = 1000000000L;
    for (int round = 0; round < ROUNDS; round++) {
        clock_gettime(CLOCK_MONOTONIC, &begun);
        for (int i = 0; i < CALLS; i++) make(CLOCK_MONOTONIC, when);
        clock_gettime(CLOCK_MONOTONIC, &ended);
        long took = (ended.tv_sec - begun.tv_sec) * 1000000000L + ended.tv_nsec - begun.tv_nsec;
        if (took < best) best = took;
    }
    return best / CALLS;
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0); /* children must not print what their parent had said */
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        printf("syscall.%s %s\n", calls[i].name, in_child(make_call, &calls[i]));
    printf("userns.create %s\n", in_child(make_userns, NULL));
    clock_call *vdso = find_vdso();
    long raw = cost(raw_clock), ours = vdso ? cost(vdso) : raw;
    printf("clock.vdso %s\n", vdso && ours * 2 < raw ? "yes" : "no");
    printf("clock.call_ns %ld\nclock.syscall_ns %ld\n", ours, raw);
    return 0;
}
