/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of core/beneath.c, with openat2(2) and, where a filter can hide it, with the walk that replaces
 * it. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/beneath.h"
#include "unit/folder.h"

/* Two folders beside each other: `root` is what is served, `root-secret` is what must not be reached. */
struct tree {
    struct folder folder;
    int           fd;
};

static void tree_link(struct tree *t, const char *target, const char *name)
{
    char path[PATH_MAX];
    ck_assert_int_eq(symlink(target, folder_path(&t->folder, path, name)), 0);
}

static void tree_folder(struct tree *t, const char *name)
{
    char path[PATH_MAX];
    ck_assert_int_eq(mkdir(folder_path(&t->folder, path, name), 0755), 0);
}

static void tree_open(struct tree *t)
{
    char path[PATH_MAX];
    folder_make(&t->folder);
    tree_folder(t, "root");
    tree_folder(t, "root/sub");
    tree_folder(t, "root/sub/deep");
    tree_folder(t, "root-secret");
    folder_write_text(&t->folder, "root/file", "top");
    folder_write_text(&t->folder, "root/sub/deep/file", "deep");
    folder_write_text(&t->folder, "root-secret/file", "secret");
    tree_link(t, "sub/deep/file", "root/link-inside");
    tree_link(t, "sub", "root/link-folder");
    tree_link(t, "../root-secret/file", "root/link-outside");
    tree_link(t, "../root-secret", "root/link-outside-folder");
    tree_link(t, "../../root/file", "root/sub/link-out-and-in");
    tree_link(t, "/etc/passwd", "root/link-absolute");
    tree_link(t, "link-loop", "root/link-loop");
    tree_link(t, "nothing", "root/link-dangling");
    ck_assert_int_eq(mkfifo(folder_path(&t->folder, path, "root/fifo"), 0644), 0);
    t->fd = open(folder_path(&t->folder, path, "root"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ne(t->fd, -1);
}

static void tree_close(struct tree *t)
{
    close(t->fd);
    folder_remove(&t->folder);
}

enum { OPENS = 0 };

/* Each line: a path, the error that openat2 gives, the error that the walk gives. */
struct expectation {
    const char *path;
    int         error, walk_error;
};

static const struct expectation table[] = {
    { "file", OPENS, OPENS },
    { "sub/deep/file", OPENS, OPENS },
    { "sub//deep/./file", OPENS, OPENS },
    { "./file", OPENS, OPENS },
    { "", OPENS, OPENS },                               /* the folder itself */
    { ".", OPENS, OPENS },
    { "sub", OPENS, OPENS },
    { "sub/", OPENS, OPENS },
    { "fifo", OPENS, OPENS },                           /* at once, though nobody writes to it */
    { "nothing", ENOENT, ENOENT },
    { "nothing/file", ENOENT, ENOENT },
    { "file/", ENOTDIR, ENOTDIR },
    { "file/file", ENOTDIR, ENOTDIR },
    { "..", EXDEV, EXDEV },
    { "../root-secret/file", EXDEV, EXDEV },
    { "../root/file", EXDEV, EXDEV },
    { "sub/../../root-secret/file", EXDEV, EXDEV },
    { "sub/deep/../../../root-secret/file", EXDEV, EXDEV },
    { "sub/..", OPENS, EXDEV },                         /* the walk does not trust any ".." */
    { "link-inside", OPENS, ELOOP },
    { "link-folder/deep/file", OPENS, ENOTDIR },
    { "link-outside", EXDEV, ELOOP },
    { "link-outside-folder/file", EXDEV, ENOTDIR },
    { "sub/link-out-and-in", EXDEV, ELOOP },
    { "link-absolute", EXDEV, ELOOP },
    { "link-loop", ELOOP, ELOOP },
    { "link-dangling", ENOENT, ELOOP },
};

static const char *name_of(int error)
{
    return error == 0 ? "opened" : strerrorname_np(error);
}

/* Complains on stderr, so that a child can say what is wrong. */
static bool table_holds(int fd, bool walks)
{
    bool holds = true;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int expected = walks ? table[i].walk_error : table[i].error;
        int opened = beneath_open(fd, table[i].path), error = opened == -1 ? errno : OPENS;
        /* A link in the middle of a walk: the answer to O_DIRECTORY with O_NOFOLLOW differs by system. */
        bool same = error == expected || (walks && expected == ENOTDIR && error == ELOOP);
        if (!same)
            fprintf(stderr, "\"%s\": %s, expected %s\n", table[i].path, name_of(error), name_of(expected));
        holds = holds && same;
        if (opened != -1)
            close(opened);
    }
    return holds;
}

/* Makes openat2(2) a call that the kernel does not have. */
static bool openat2_hide(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof code / sizeof *code, code };
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static bool openat2_works(int fd)
{
    unsigned long long how[3] = { O_RDONLY };           /* struct open_how */
    long opened = syscall(SYS_openat2, fd, ".", how, sizeof how);
    if (opened != -1)
        close((int)opened);
    return opened != -1;
}

START_TEST(beneath_opens_what_is_inside_and_nothing_else)
{
    struct tree t;
    tree_open(&t);
    unsigned before = descriptors_open();
    ck_assert(table_holds(t.fd, !openat2_works(t.fd)));
    ck_assert_uint_eq(descriptors_open(), before);
    tree_close(&t);
}
END_TEST

START_TEST(beneath_is_as_safe_where_the_kernel_has_no_openat2)
{
    struct tree t;
    int status;
    tree_open(&t);
    pid_t child = fork();
    if (child == 0) {
        unsigned before = descriptors_open();
        if (!openat2_hide())
            _exit(77);
        bool walks = !openat2_works(t.fd);
        _exit(table_holds(t.fd, walks) && descriptors_open() == before ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);   /* 77: no filter can be had here */
    tree_close(&t);
}
END_TEST

START_TEST(beneath_reads_the_file_that_was_named)
{
    struct tree t;
    char text[8];
    tree_open(&t);
    int fd = beneath_open(t.fd, "sub/deep/file");
    ck_assert_int_eq(read(fd, text, sizeof text), 4);
    ck_assert_mem_eq(text, "deep", 4);
    ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    tree_close(&t);
}
END_TEST

START_TEST(beneath_follows_no_magic_link)
{
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (proc == -1)
        return;
    if (openat2_works(proc)) {
        ck_assert_int_eq(beneath_open(proc, "self/root/etc/passwd"), -1);
        ck_assert(errno == ELOOP || errno == EXDEV);
        ck_assert_int_eq(beneath_open(proc, "self/fd/0"), -1);
        ck_assert(errno == ELOOP || errno == EXDEV || errno == ENOENT);
    }
    close(proc);
}
END_TEST

START_TEST(beneath_refuses_names_that_are_too_long)
{
    struct tree t;
    char name[NAME_MAX + 10], path[PATH_MAX + 10];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    for (size_t i = 0; i < sizeof path; i++)
        path[i] = i % 2 == 0 ? '.' : '/';
    path[sizeof path - 1] = '\0';
    tree_open(&t);
    ck_assert_int_eq(beneath_open(t.fd, name), -1);
    ck_assert_int_eq(errno, ENAMETOOLONG);
    if (openat2_works(t.fd)) {          /* the walk never hands the whole path to the kernel */
        ck_assert_int_eq(beneath_open(t.fd, path), -1);
        ck_assert_int_eq(errno, ENAMETOOLONG);
    }
    tree_close(&t);
}
END_TEST

/* Somebody renames folders while paths lead through them: the answer may be "not there", never the secret. */
START_TEST(beneath_holds_while_folders_are_moved)
{
    struct tree t;
    char a[PATH_MAX], b[PATH_MAX], text[8];
    tree_open(&t);
    folder_path(&t.folder, a, "root/sub/deep");
    folder_path(&t.folder, b, "root-secret/deep");
    pid_t mover = fork();
    if (mover == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            if (rename(a, b) == -1 || rename(b, a) == -1)
                _exit(1);
    }
    for (int i = 0; i < 3000; i++) {
        int fd = beneath_open(t.fd, "sub/deep/../../../root-secret/file");
        ck_assert_int_eq(fd, -1);
        fd = beneath_open(t.fd, "sub/deep/../../file");
        if (fd != -1) {
            ssize_t n = read(fd, text, sizeof text);
            ck_assert(n == 3 && memcmp(text, "top", 3) == 0);
            close(fd);
        }
    }
    kill(mover, SIGKILL);
    waitpid(mover, NULL, 0);
    tree_close(&t);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("beneath");
    TCase *t = tcase_create("beneath");
    tcase_set_timeout(t, 30);
    tcase_add_test(t, beneath_opens_what_is_inside_and_nothing_else);
    tcase_add_test(t, beneath_is_as_safe_where_the_kernel_has_no_openat2);
    tcase_add_test(t, beneath_reads_the_file_that_was_named);
    tcase_add_test(t, beneath_follows_no_magic_link);
    tcase_add_test(t, beneath_refuses_names_that_are_too_long);
    tcase_add_test(t, beneath_holds_while_folders_are_moved);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
