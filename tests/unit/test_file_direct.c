/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of core/file.c and core/bypass.c: which files are read past the page cache, and what is said where the file
 * system refuses. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/log.h"
#include "core/bypass.h"
#include "core/file.h"
#include "unit/folder.h"

enum { MIN = 100000 };

struct site {
    struct folder folder;
    struct root  *root;
    struct env    env;
    unsigned      descriptors;
    unsigned      log_lines;
    char          line[LOG_LINE_MAX + 1];
};

static void line_kept(void *arg, enum log_level level, const struct log_about *about, struct span line)
{
    struct site *s = arg;
    (void)level, (void)about;
    s->log_lines++;
    memcpy(s->line, line.p, line.n);
    s->line[line.n] = '\0';
}

static void site_open(struct site *s)
{
    memset(s, 0, sizeof *s);
    s->descriptors = descriptors_open();
    folder_make(&s->folder);
    log_open(line_kept, s, LOG_DEBUG);
    s->root = root_open(s->folder.path);
    ck_assert_ptr_nonnull(s->root);
    env_init(&s->env, NULL);
    s->env.files = file_cache_new();
    ck_assert_ptr_nonnull(s->env.files);
}

static void site_close(struct site *s)
{
    file_cache_free(s->env.files);
    root_close(s->root);
    env_free(&s->env);
    folder_remove(&s->folder);
    log_open(NULL, NULL, LOG_NOTICE);
    ck_assert_uint_eq(descriptors_open(), s->descriptors);
}

static void write_size(struct site *s, const char *name, size_t n)
{
    char *bytes = malloc(n);
    memset(bytes, 'x', n);
    folder_write(&s->folder, name, bytes, n);
    free(bytes);
}

static struct file *get(struct site *s, const char *path)
{
    struct file *f = file_get(&s->env, s->root, span_of(path));
    ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
    return f;
}

static bool is_bypassing(const struct file *f)
{
    return (fcntl(f->fd, F_GETFL) & O_DIRECT) != 0;
}

/* Does this folder's file system have direct I/O?  Asked the plain way: by doing it. */
static bool has_direct(struct site *s)
{
    char path[PATH_MAX];
    void *page = aligned_alloc(4096, 4096);
    struct statfs fs;
    write_size(s, "probe", 4096);
    int fd = open(folder_path(&s->folder, path, "probe"), O_RDONLY | O_DIRECT | O_CLOEXEC);
    bool has = fd != -1 && read(fd, page, 4096) == 4096 && fstatfs(fd, &fs) == 0 && fs.f_type != 0x01021994;
    if (fd != -1)
        close(fd);
    free(page);
    return has;
}

START_TEST(bypass_refuses_what_lives_in_memory)
{
    int fd = memfd_create("memory", MFD_CLOEXEC), flags = fcntl(fd, F_GETFL);
    errno = 0;
    ck_assert_uint_eq(bypass_begin(fd), 0);
    ck_assert_int_eq(errno, EOPNOTSUPP);
    ck_assert_int_eq(fcntl(fd, F_GETFL), flags);
    bypass_end(fd);
    ck_assert_int_eq(fcntl(fd, F_GETFL), flags);
    close(fd);
    ck_assert_uint_eq(bypass_begin(-1), 0);
}
END_TEST

START_TEST(bypass_refuses_what_the_kernel_makes_up)
{
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    ck_assert_int_ne(fd, -1);
    ck_assert_uint_eq(bypass_begin(fd), 0);
    ck_assert_int_ne(errno, 0);
    close(fd);
}
END_TEST

START_TEST(bypass_says_an_alignment_that_reads_can_keep)
{
    struct site s;
    char path[PATH_MAX];
    site_open(&s);
    if (has_direct(&s)) {
        char *page = aligned_alloc(BYPASS_ALIGN_MAX, BYPASS_ALIGN_MAX);
        write_size(&s, "file", 5000);
        int fd = open(folder_path(&s.folder, path, "file"), O_RDONLY | O_CLOEXEC);
        unsigned align = bypass_begin(fd);
        ck_assert_uint_gt(align, 0);
        ck_assert_uint_le(align, BYPASS_ALIGN_MAX);
        ck_assert_uint_eq(align & (align - 1), 0);
        ck_assert_int_eq(pread(fd, page, align, align), align);
        ck_assert_int_eq(pread(fd, page, BYPASS_ALIGN_MAX, 4096), 5000 - 4096);
        bypass_end(fd);
        ck_assert_int_eq(pread(fd, page, 100, 1), 100);
        close(fd);
        free(page);
    }
    site_close(&s);
}
END_TEST

START_TEST(file_is_direct_from_the_size_that_was_set)
{
    struct site s;
    site_open(&s);
    bool direct = has_direct(&s);
    write_size(&s, "below", MIN - 1);
    write_size(&s, "at", MIN);
    root_direct(s.root, MIN, NULL);
    struct file *below = get(&s, "below"), *at = get(&s, "at");
    ck_assert_uint_eq(below->direct_align, 0);
    ck_assert(!is_bypassing(below));
    ck_assert_int_eq(at->direct_align > 0, direct);
    ck_assert_int_eq(is_bypassing(at), direct);
    ck_assert_uint_eq(s.log_lines, direct ? 0 : 1);
    file_unref(below);
    file_unref(at);
    site_close(&s);
}
END_TEST

START_TEST(file_in_memory_is_never_direct)
{
    struct site s;
    site_open(&s);
    bool direct = has_direct(&s);
    write_size(&s, "small", FILE_IN_MEMORY_MAX);
    write_size(&s, "large", FILE_IN_MEMORY_MAX + 1);
    root_direct(s.root, 1, NULL);
    struct file *small = get(&s, "small"), *large = get(&s, "large");
    ck_assert_uint_eq(small->direct_align, 0);
    ck_assert_int_eq(large->direct_align > 0, direct);
    file_unref(small);
    file_unref(large);
    site_close(&s);
}
END_TEST

START_TEST(file_is_cached_unless_the_root_says_otherwise)
{
    struct site s;
    site_open(&s);
    write_size(&s, "large", MIN);
    struct file *f = get(&s, "large");
    ck_assert_uint_eq(f->direct_align, 0);
    ck_assert(!is_bypassing(f));
    ck_assert_uint_eq(s.log_lines, 0);
    file_unref(f);
    site_close(&s);
}
END_TEST

/* Of a refusal that comes with the first read. */
START_TEST(file_is_read_through_the_cache_once_refused_and_one_line_is_said)
{
    struct site s;
    site_open(&s);
    if (has_direct(&s)) {
        write_size(&s, "a", MIN);
        write_size(&s, "b", MIN);
        root_direct(s.root, 1, NULL);
        struct file *a = get(&s, "a"), *b = get(&s, "b");
        file_direct_refused(&s.env, a);
        file_direct_refused(&s.env, a);
        ck_assert_uint_eq(a->direct_align, 0);
        ck_assert(!is_bypassing(a));
        ck_assert(is_bypassing(b));
        file_direct_refused(&s.env, b);
        ck_assert_uint_eq(s.log_lines, 1);
        ck_assert_ptr_nonnull(strstr(s.line, s.folder.path));
        ck_assert_ptr_nonnull(strstr(s.line, "direct_io is refused"));
        file_unref(a);
        file_unref(b);
    }
    site_close(&s);
}
END_TEST

/* Two roots stand for those of two workers. */
START_TEST(roots_that_share_a_note_say_it_once)
{
    struct site s;
    bool told = false;
    site_open(&s);
    struct root *shared = root_open("/dev/shm"), *other = root_open("/dev/shm");
    char name[] = "/dev/shm/iomuxd-test-XXXXXX";
    int fd = mkstemp(name);
    struct statfs fs = { 0 };
    if (fd != -1 && fstatfs(fd, &fs) == 0 && fs.f_type == 0x01021994) {
        ck_assert_int_eq(ftruncate(fd, MIN), 0);
        root_direct(shared, 1, &told);
        root_direct(other, 1, &told);
        for (int i = 0; i < 4; i++) {
            struct file *f = file_get(&s.env, i % 2 == 0 ? shared : other, span_of(strrchr(name, '/') + 1));
            ck_assert_ptr_nonnull(f);
            ck_assert_uint_eq(f->direct_align, 0);
            file_unref(f);
            s.env.turn++;
            ck_assert(told);
        }
        ck_assert_uint_eq(s.log_lines, 1);
    }
    if (fd != -1) {
        unlink(name);
        close(fd);
    }
    root_close(shared);
    root_close(other);
    site_close(&s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("file_direct");
    TCase *t = tcase_create("file_direct");
    tcase_add_test(t, bypass_refuses_what_lives_in_memory);
    tcase_add_test(t, bypass_refuses_what_the_kernel_makes_up);
    tcase_add_test(t, bypass_says_an_alignment_that_reads_can_keep);
    tcase_add_test(t, file_is_direct_from_the_size_that_was_set);
    tcase_add_test(t, file_in_memory_is_never_direct);
    tcase_add_test(t, file_is_cached_unless_the_root_says_otherwise);
    tcase_add_test(t, file_is_read_through_the_cache_once_refused_and_one_line_is_said);
    tcase_add_test(t, roots_that_share_a_note_say_it_once);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
