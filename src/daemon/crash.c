/* SPDX-License-Identifier: BSD-2-Clause */
/* Backtraces out of signal handlers.  Owns a mutable variable at file scope, since a handler is given nothing: the
 * scene.  Everything that a handler does is safe there (signal-safety(7)): what is not is done when the scene is set:
 * the unwinder is loaded, the list of loaded objects is taken down, the folder of this process's threads is opened.
 *
 * An address is told as OBJECT+OFFSET, for addr2line(1): static functions have names in the debugging symbols only. */
#include "daemon/crash.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/log.h"
#include "base/thread.h"

#ifdef HAVE_EXECINFO_H
#include <execinfo.h>
#else
static int backtrace(void **frames, int max)
{
    (void)frames, (void)max;
    return 0;
}
#endif

enum {
    FRAMES = 48,
    OBJECTS = 32,               /* the program, the C library and a dozen more */
    THREADS_ASKED = 32,         /* the model blocking has thousands */
    ALT_STACK = 64 * 1024,      /* a fault may be that the stack is full */
    ANSWER_NS = 2000000,        /* how often and */
    ANSWER_ROUNDS = 10,         /* how long one waits for another's answer */
    LINE = 256
};

/* A loaded object: addresses from `base`. */
struct object {
    uintptr_t   base, start, end;
    const char *name;
};

static struct {
    const struct logger *logger;    /* NULL: not set */
    const char          *who;
    int                  tasks;     /* /proc/self/task, -1: none */
    bool                 told;      /* atomic: once */
    unsigned             answers;   /* atomic: threads that said where they are */
    struct object        objects[OBJECTS];
    unsigned             object_count;
} crash_scene;

/* ---- lines ---- */

struct crash_line {
    char   text[LINE];
    size_t n;
};

static void crash_line_add(struct crash_line *l, const char *text)
{
    for (; *text != '\0' && l->n < LINE; text++)
        l->text[l->n++] = *text;
}

static void crash_line_number(struct crash_line *l, uint64_t value)
{
    if (l->n + FMT_U64_MAX <= LINE)
        l->n += fmt_u64(l->text + l->n, value);
}

static void crash_line_hex(struct crash_line *l, uint64_t value)
{
    crash_line_add(l, "0x");
    if (l->n + FMT_HEX_MAX <= LINE)
        l->n += fmt_hex(l->text + l->n, value);
}

static struct crash_line crash_line_begin(void)
{
    struct crash_line l = { .n = 0 };

    crash_line_add(&l, crash_scene.who);
    crash_line_add(&l, " (pid ");
    crash_line_number(&l, (uint64_t)getpid());
    crash_line_add(&l, "): ");
    return l;
}

static void crash_line_end(const struct crash_line *l)
{
    logger_urgent(crash_scene.logger, LOG_ERROR, (struct span){ l->text, l->n });
}

/* ---- backtraces ---- */

static const struct object *object_of(uintptr_t address)
{
    for (unsigned i = 0; i < crash_scene.object_count; i++)
        if (address >= crash_scene.objects[i].start && address < crash_scene.objects[i].end)
            return &crash_scene.objects[i];
    return NULL;
}

static void frame_tell(unsigned number, uintptr_t address)
{
    const struct object *o = object_of(address);
    struct crash_line l = crash_line_begin();

    crash_line_add(&l, "  #");
    crash_line_number(&l, number);
    crash_line_add(&l, " ");
    crash_line_add(&l, o != NULL ? o->name : "?");
    crash_line_add(&l, "+");
    crash_line_hex(&l, address - (o != NULL ? o->base : 0));
    crash_line_end(&l);
}

/* The first frame is the handler's own.  An address to return to may be the next function's already. */
static void frames_tell(void)
{
    void *frames[FRAMES];
    int n = backtrace(frames, FRAMES);

    for (int i = 1; i < n; i++)
        frame_tell((unsigned)i - 1, (uintptr_t)frames[i] - 1);
}

static const char *fault_name(int number)
{
    switch (number) {
    case SIGSEGV: return "SIGSEGV";
    case SIGBUS:  return "SIGBUS";
    case SIGFPE:  return "SIGFPE";
    case SIGILL:  return "SIGILL";
    case SIGABRT: return "SIGABRT";
    default:      return "asked where it is";
    }
}

static void scene_tell(int number, const siginfo_t *info)
{
    struct crash_line l = crash_line_begin();
    bool fault = number != SIGABRT && info->si_code > 0;

    crash_line_add(&l, "thread ");
    crash_line_number(&l, (uint64_t)gettid());
    crash_line_add(&l, ": ");
    crash_line_add(&l, fault_name(number));
    if (fault) {
        crash_line_add(&l, " at ");
        crash_line_hex(&l, (uintptr_t)info->si_addr);
    }
    crash_line_add(&l, ", backtrace:");
    crash_line_end(&l);
    frames_tell();
}

/* ---- the other threads ---- */

/* As getdents64(2) has it. */
struct folder_entry {
    uint64_t       inode;
    int64_t        offset;
    unsigned short size;
    unsigned char  type;
    char           name[];
};

static pid_t tid_of(const char *name)
{
    pid_t tid = 0;

    for (; *name >= '0' && *name <= '9'; name++)
        tid = tid * 10 + (*name - '0');
    return tid;
}

/* One after the other, or their lines would mix.  Those that block the signal never answer. */
static void thread_ask(pid_t tid)
{
    const struct timespec pause = { 0, ANSWER_NS };
    unsigned before = __atomic_load_n(&crash_scene.answers, __ATOMIC_ACQUIRE);

    if (syscall(SYS_tgkill, getpid(), tid, thread_where()) != 0)
        return;
    for (int i = 0; i < ANSWER_ROUNDS && __atomic_load_n(&crash_scene.answers, __ATOMIC_ACQUIRE) == before; i++)
        nanosleep(&pause, NULL);
}

static void threads_ask(void)
{
    _Alignas(struct folder_entry) char entries[4096];
    long n = syscall(SYS_getdents64, crash_scene.tasks, entries, sizeof entries);
    unsigned asked = 0;

    for (long at = 0; at < n && asked < THREADS_ASKED;) {
        const struct folder_entry *e = (const struct folder_entry *)(entries + at);
        pid_t tid = tid_of(e->name);

        at += e->size;
        if (tid == 0 || tid == gettid())
            continue;
        thread_ask(tid);
        asked++;
    }
}

/* ---- handlers ---- */

static void where_answer(int number, siginfo_t *info, void *context)
{
    int kept = errno;

    (void)context;
    scene_tell(number, info);
    __atomic_fetch_add(&crash_scene.answers, 1, __ATOMIC_RELEASE);
    errno = kept;
}

/* The disposition is the default again: what is raised here ends the process when the handler returns. */
static void fault_answer(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (!__atomic_exchange_n(&crash_scene.told, true, __ATOMIC_RELAXED)) {
        scene_tell(number, info);
        if (number == SIGABRT && info->si_code == SI_USER && info->si_pid != getpid())
            threads_ask();
    }
    syscall(SYS_tgkill, getpid(), gettid(), number);
}

/* ---- setting the scene ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (*path == '\0')
        return program_invocation_short_name;
    return slash != NULL ? slash + 1 : path;
}

static int object_note(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct object *o = &crash_scene.objects[crash_scene.object_count];

    (void)size, (void)arg;
    *o = (struct object){ .base = info->dlpi_addr, .start = UINTPTR_MAX, .name = base_name(info->dlpi_name) };
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + p->p_vaddr;

        if (p->p_type != PT_LOAD)
            continue;
        o->start = start < o->start ? start : o->start;
        o->end = start + p->p_memsz > o->end ? start + p->p_memsz : o->end;
    }
    return ++crash_scene.object_count == OBJECTS;
}

static void fault_watch(int number)
{
    struct sigaction action = { .sa_sigaction = fault_answer,
                                .sa_flags = (int)(SA_SIGINFO | SA_ONSTACK | SA_RESETHAND) }, before;

    sigemptyset(&action.sa_mask);
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler == SIG_DFL)
        sigaction(number, &action, NULL);
}

void crash_watch(const struct logger *l, const char *who)
{
    struct sigaction action = { .sa_sigaction = where_answer, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };
    stack_t stack = { .ss_size = ALT_STACK,
                      .ss_sp = mmap(NULL, ALT_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) };
    void *frame[1];

    crash_scene.who = who;
    crash_scene.logger = l;
    crash_scene.tasks = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    crash_scene.object_count = 0;
    backtrace(frame, 1);            /* loads the unwinder, which a handler could not */
    dl_iterate_phdr(object_note, NULL);
    if (stack.ss_sp != MAP_FAILED)
        sigaltstack(&stack, NULL);
    sigemptyset(&action.sa_mask);
    sigaction(thread_where(), &action, NULL);
    for (size_t i = 0; thread_faults[i] != 0; i++)
        fault_watch(thread_faults[i]);
}
