/* SPDX-License-Identifier: BSD-2-Clause */
/* The sandbox on the process itself: each part in a child of its own, and what is told of it. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/thread.h"
#include "daemon/caps.h"
#include "daemon/filter.h"
#include "daemon/landlock.h"
#include "daemon/sandbox.h"

/* ---- the word and its text ---- */

static const struct model plain = { .name = "epoll" }, guarded = { .name = "io_uring", .guard = ", ring restrictions" };

static const struct { struct sandbox s; const struct model *m; const char *text; } told[] = {
    { { .want = CONF_SANDBOX_OFF }, &plain, "off" },
    { { .want = CONF_SANDBOX_OFF }, &guarded, "off, ring restrictions" },
    { { .want = CONF_SANDBOX_AUTO }, &plain, "" },
    { { .want = CONF_SANDBOX_AUTO }, &guarded, "ring restrictions" },
    { { .no_new_privs = true }, &plain, "no_new_privs" },
    { { .no_capabilities = true, .calls = 1 }, &plain, "no capabilities, seccomp 1 calls" },
    { { .no_new_privs = true, .no_capabilities = true, .landlock = 7, .calls = 81 }, &guarded,
      "no_new_privs, no capabilities, landlock ABI 7, seccomp 81 calls, ring restrictions" },
    { { .no_new_privs = true, .no_capabilities = true, .landlock = 255, .calls = 65535 }, &guarded,
      "no_new_privs, no capabilities, landlock ABI 255, seccomp 65535 calls, ring restrictions" },
};

START_TEST(sandbox_tells_what_is_enforced)
{
    char text[SANDBOX_TEXT_SIZE];
    uint32_t word = sandbox_word(&told[_i].s);

    ck_assert_uint_ne(word, 0);
    ck_assert_str_eq(sandbox_text(word, told[_i].m, text), told[_i].text);
}
END_TEST

START_TEST(sandbox_tells_nothing_of_a_worker_that_said_nothing)
{
    char text[SANDBOX_TEXT_SIZE];

    ck_assert_str_eq(sandbox_text(0, &guarded, text), "");
}
END_TEST

/* ---- parts, in processes of their own ---- */

/* Runs what cannot be taken back; its exit status says which of its steps failed. */
static void in_a_child(int (*step)(void))
{
    pid_t pid = fork();
    int status;

    ck_assert_int_ne(pid, -1);
    if (pid == 0)
        _exit(step());
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
    ck_assert_msg(WEXITSTATUS(status) == 0, "step %d failed", WEXITSTATUS(status));
}

static int no_new_privs(void)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static bool opens(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);

    if (fd != -1)
        close(fd);
    return fd != -1;
}

static int socket_steps(int version)
{
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd == -1)
        return 10;
    if ((bind(fd, (struct sockaddr *)&any, sizeof any) == 0) != (version < 4))
        return 11;
    return version < 4 || errno == EACCES ? 0 : 12;
}

static int landlock_steps(void)
{
    static const char *const files[] = { "/dev/null", "/is/not/there", NULL };
    int root = open("/usr", O_RDONLY | O_DIRECTORY | O_CLOEXEC), kept = open("/etc/passwd", O_RDONLY | O_CLOEXEC), version;
    char byte;

    if (no_new_privs() == -1)
        return 1;
    version = landlock_enter(&root, 1, files);
    if (version == 0)
        return 2;
    if (!opens("/usr/bin/env", O_RDONLY) || !opens("/usr/bin", O_RDONLY | O_DIRECTORY) || !opens("/dev/null", O_RDONLY))
        return 3;
    if (opens("/etc/passwd", O_RDONLY) || opens("/", O_RDONLY | O_DIRECTORY) || opens("/dev/zero", O_RDONLY))
        return 4;
    if (opens("/dev/null", O_WRONLY) || opens("/tmp/iomuxd-test-sandbox", O_WRONLY | O_CREAT) || errno != EACCES)
        return 5;
    if (read(kept, &byte, 1) != 1)
        return 6;
    execl("/usr/bin/env", "env", (char *)NULL);
    return errno == EACCES ? socket_steps(version) : 7;
}

START_TEST(landlock_leaves_only_reading_beneath_the_folders)
{
    if (landlock_version() > 0)
        in_a_child(landlock_steps);
}
END_TEST

static int caps_steps(void)
{
    if (caps_bound() == -1)
        return 1;
    for (unsigned i = 0; geteuid() == 0 && i < 32; i++)
        if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) != 0)
            return 2;
    if (caps_drop() == -1)
        return 3;
    if (prctl(PR_SET_SECUREBITS, 0, 0, 0, 0) != -1 || errno != EPERM)
        return 4;
    return caps_bound() == 0 && caps_drop() == 0 ? 0 : 5;   /* again: nothing is left to do */
}

START_TEST(caps_are_gone_for_good)
{
    in_a_child(caps_steps);
}
END_TEST

static void *thread_nothing(void *arg)
{
    return arg;
}

/* Nothing that whoever has it next would not expect of it. */
static bool filter_allows_option(int name, const void *value, socklen_t size)
{
    int pair[2], rc;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == -1)
        return false;
    rc = setsockopt(pair[0], SOL_SOCKET, name, value, size);
    close(pair[0]);
    close(pair[1]);
    return rc == 0;
}

static bool filter_knows_options(void)
{
    const struct timeval time = { .tv_sec = 1 };
    const struct linger wait = { 1, 1000 };
    const int far = 1000;

    return filter_allows_option(SO_RCVTIMEO, &time, sizeof time) && filter_allows_option(SO_SNDTIMEO, &time, sizeof time) &&
           filter_allows_option(SO_SNDBUF, &far, sizeof far) && !filter_allows_option(SO_LINGER, &wait, sizeof wait) &&
           !filter_allows_option(SO_PEEK_OFF, &far, sizeof far);
}

static int filter_steps(void)
{
    static const char *const calls[] = { "socket", "no_such_call_on_any_machine", NULL };
    pthread_t id;
    void *memory;

    if (no_new_privs() == -1 || filter_enter(&(struct filter_wants){ .calls = calls }) < 20)
        return 1;
    if (fork() != -1 || errno != EPERM)
        return 2;
    if (pthread_create(&id, NULL, thread_nothing, NULL) != 0 || pthread_join(id, NULL) != 0)
        return 3;
    if (kill(getpid(), 0) != -1 || errno != EPERM)
        return 4;
    memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, 4096, PROT_READ | PROT_EXEC) != -1 || errno != EPERM)
        return 5;
    if (socket(AF_UNIX, SOCK_DGRAM, 0) == -1 || socket(AF_INET, SOCK_DGRAM, 0) != -1 || errno != EPERM)
        return 6;
    if (!filter_knows_options())
        return 7;
    return mkdir("/tmp/iomuxd-test-sandbox", 0700) == -1 && errno == EPERM ? 0 : 8;
}

START_TEST(filter_leaves_what_a_worker_needs)
{
    char why[64];

    if (filter_available(why, sizeof why))
        in_a_child(filter_steps);
    else
        ck_assert_str_ne(why, "");
}
END_TEST

/* ---- signals of threads ---- */

START_TEST(threads_block_what_is_the_loops_and_answer_for_their_faults)
{
    sigset_t set;

    thread_signals(&set);
    ck_assert_int_eq(sigismember(&set, SIGTERM), 1);
    ck_assert_int_eq(sigismember(&set, SIGIO), 1);
    ck_assert_int_eq(sigismember(&set, SIGRTMIN + 1), 1);
    ck_assert_int_eq(sigismember(&set, SIGSEGV), 0);
    ck_assert_int_eq(sigismember(&set, SIGABRT), 0);
    ck_assert_int_eq(sigismember(&set, thread_where()), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sandbox");
    TCase *t = tcase_create("sandbox");
    SRunner *r;
    int failed;

    tcase_add_loop_test(t, sandbox_tells_what_is_enforced, 0, sizeof told / sizeof told[0]);
    tcase_add_test(t, sandbox_tells_nothing_of_a_worker_that_said_nothing);
    tcase_add_test(t, landlock_leaves_only_reading_beneath_the_folders);
    tcase_add_test(t, caps_are_gone_for_good);
    tcase_add_test(t, filter_leaves_what_a_worker_needs);
    tcase_add_test(t, threads_block_what_is_the_loops_and_answer_for_their_faults);
    suite_add_tcase(s, t);
    r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
