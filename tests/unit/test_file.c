/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of core/file.c: lookups beneath a root, and a cache that is never older than a turn. */
#include <check.h>
#include <errno.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/file.h"
#include "unit/folder.h"

enum { SMALL = FILE_IN_MEMORY_MAX, LARGE = FILE_IN_MEMORY_MAX + 1 };

struct site {
    struct folder folder;
    struct root  *root;
    struct env    env;
    unsigned      descriptors;
};

static void site_open(struct site *s)
{
    s->descriptors = descriptors_open();
    folder_make(&s->folder);
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
    ck_assert_uint_eq(descriptors_open(), s->descriptors);
}

/* From now on what is looked up is old enough to be believed. */
static void site_age(struct site *s)
{
    s->env.now_s += 100;
}

static void next_turn(struct site *s)
{
    s->env.turn++;
}

static struct file *get(struct site *s, const char *path)
{
    return file_get(&s->env, s->root, span_of(path));
}

/* A file that is in memory and says this. */
static void check_text(struct site *s, const char *path, const char *text)
{
    struct file *f = get(s, path);
    ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
    ck_assert_uint_eq(f->size, strlen(text));
    ck_assert_ptr_nonnull(f->bytes);
    ck_assert_mem_eq(f->bytes, text, f->size);
    ck_assert_int_eq(f->fd, -1);
    file_unref(f);
}

static void check_refused(struct site *s, const char *path, int error)
{
    errno = 0;
    struct file *f = get(s, path);
    ck_assert_msg(f == NULL, "%s was opened", path);
    ck_assert_msg(errno == error, "%s: %s, expected %s", path, strerrorname_np(errno), strerrorname_np(error));
}

static void write_size(struct site *s, const char *name, size_t n)
{
    char *bytes = malloc(n + 1);
    memset(bytes, 'x', n + 1);
    folder_write(&s->folder, name, bytes, n);
    free(bytes);
}

/* --- lookups --- */

START_TEST(root_open_says_why_it_cannot)
{
    ck_assert_ptr_null(root_open("/nothing/here"));
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_ptr_null(root_open("/dev/null"));
    ck_assert_int_eq(errno, ENOTDIR);
    root_close(NULL);
    file_cache_free(NULL);
    file_unref(NULL);
}
END_TEST

START_TEST(file_small_is_in_memory_and_large_is_a_descriptor)
{
    struct site s;
    site_open(&s);
    write_size(&s, "small", SMALL);
    write_size(&s, "large", LARGE);
    folder_write_text(&s.folder, "empty", "");
    struct file *small = get(&s, "small"), *large = get(&s, "large"), *empty = get(&s, "empty");
    ck_assert_int_eq(small->fd, -1);
    ck_assert_ptr_nonnull(small->bytes);
    ck_assert_uint_eq(small->size, SMALL);
    ck_assert_int_ne(large->fd, -1);
    ck_assert_ptr_null(large->bytes);
    ck_assert_uint_eq(large->size, LARGE);
    ck_assert_uint_eq(empty->size, 0);
    ck_assert_int_eq(empty->fd, -1);
    file_unref(small);
    file_unref(large);
    file_unref(empty);
    site_close(&s);
}
END_TEST

START_TEST(file_knows_its_time_and_inode)
{
    struct site s;
    struct stat st;
    char path[PATH_MAX];
    site_open(&s);
    folder_write_text(&s.folder, "f", "abc");
    ck_assert_int_eq(stat(folder_path(&s.folder, path, "f"), &st), 0);
    struct file *f = get(&s, "f");
    ck_assert_int_eq(f->mtime_s, st.st_mtim.tv_sec);
    ck_assert_int_eq(f->mtime_ns, st.st_mtim.tv_nsec);
    ck_assert_uint_eq(f->inode, st.st_ino);
    ck_assert_uint_eq(f->note_n, 0);
    file_unref(f);
    site_close(&s);
}
END_TEST

START_TEST(file_get_refuses_what_is_no_file)
{
    struct site s;
    char path[PATH_MAX];
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    site_open(&s);
    ck_assert_int_eq(mkdir(folder_path(&s.folder, path, "sub"), 0755), 0);
    ck_assert_int_eq(mkfifo(folder_path(&s.folder, path, "fifo"), 0644), 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%.90s/socket", s.folder.path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    folder_write_text(&s.folder, "file", "x");
    check_refused(&s, "", EISDIR);
    check_refused(&s, "sub", EISDIR);
    check_refused(&s, "sub/", EISDIR);
    check_refused(&s, ".", EISDIR);
    check_refused(&s, "fifo", ENXIO);
    check_refused(&s, "socket", ENXIO);
    check_refused(&s, "nothing", ENOENT);
    check_refused(&s, "file/", ENOTDIR);
    check_refused(&s, "file/x", ENOTDIR);
    check_refused(&s, "..", EXDEV);
    check_refused(&s, "../etc/passwd", EXDEV);
    close(fd);
    site_close(&s);
}
END_TEST

START_TEST(file_get_refuses_devices)
{
    unsigned before = descriptors_open();
    struct env e;
    env_init(&e, NULL);
    struct root *dev = root_open("/dev");
    ck_assert_ptr_nonnull(dev);
    ck_assert_ptr_null(file_get(&e, dev, SPAN("null")));
    ck_assert_int_eq(errno, ENXIO);
    ck_assert_ptr_null(file_get(&e, dev, SPAN("zero")));
    ck_assert_int_eq(errno, ENXIO);
    root_close(dev);
    env_free(&e);
    ck_assert_uint_eq(descriptors_open(), before);
}
END_TEST

START_TEST(file_get_refuses_names_that_no_file_can_have)
{
    struct site s;
    char path[PATH_MAX + 20];
    site_open(&s);
    folder_write_text(&s.folder, "file", "x");
    ck_assert_ptr_null(file_get(&s.env, s.root, (struct span){ "file\0.txt", 9 }));
    ck_assert_int_eq(errno, ENOENT);
    for (size_t i = 0; i < sizeof path; i++)
        path[i] = i % 2 == 0 ? '.' : '/';
    ck_assert_ptr_null(file_get(&s.env, s.root, (struct span){ path, sizeof path }));
    ck_assert_int_eq(errno, ENAMETOOLONG);
    ck_assert_ptr_null(file_get(&s.env, s.root, (struct span){ path, PATH_MAX }));
    ck_assert_int_eq(errno, ENAMETOOLONG);
    site_close(&s);
}
END_TEST

START_TEST(file_get_reads_only_its_span)
{
    struct site s;
    site_open(&s);
    folder_write_text(&s.folder, "file", "right");
    folder_write_text(&s.folder, "file2", "wrong");
    for (int i = 0; i < 2; i++) {
        struct file *f = file_get(&s.env, s.root, (struct span){ "file2", 4 });
        ck_assert_mem_eq(f->bytes, "right", 5);
        file_unref(f);
        next_turn(&s);
    }
    site_close(&s);
}
END_TEST

START_TEST(file_links_lead_nowhere_outside)
{
    struct site s;
    char path[PATH_MAX];
    site_open(&s);
    folder_write_text(&s.folder, "file", "inside");
    ck_assert_int_eq(symlink("file", folder_path(&s.folder, path, "in")), 0);
    ck_assert_int_eq(symlink("/etc/passwd", folder_path(&s.folder, path, "absolute")), 0);
    ck_assert_int_eq(symlink("../../etc/passwd", folder_path(&s.folder, path, "out")), 0);
    check_text(&s, "in", "inside");
    check_refused(&s, "absolute", EXDEV);
    check_refused(&s, "out", EXDEV);
    /* a name that was good and is cached turns into a link that leads out */
    site_age(&s);
    next_turn(&s);
    check_text(&s, "file", "inside");
    ck_assert_int_eq(symlink("/etc/passwd", folder_path(&s.folder, path, "new")), 0);
    char to[PATH_MAX];
    ck_assert_int_eq(rename(path, folder_path(&s.folder, to, "file")), 0);
    next_turn(&s);
    check_refused(&s, "file", EXDEV);
    check_refused(&s, "in", EXDEV);
    site_close(&s);
}
END_TEST

START_TEST(file_get_works_without_a_cache)
{
    struct site s;
    site_open(&s);
    folder_write_text(&s.folder, "file", "one");
    file_cache_free(s.env.files);
    s.env.files = NULL;
    check_text(&s, "file", "one");
    folder_write_text(&s.folder, "file", "two!");
    check_text(&s, "file", "two!");
    site_close(&s);
}
END_TEST

/* --- freshness --- */

START_TEST(file_is_looked_up_once_in_a_turn)
{
    struct site s;
    char path[PATH_MAX];
    site_open(&s);
    folder_write_text(&s.folder, "file", "one");
    struct file *f = get(&s, "file");
    folder_write_text(&s.folder, "file", "two!");
    struct file *again = get(&s, "file");
    ck_assert_ptr_eq(f, again);
    ck_assert_int_eq(unlink(folder_path(&s.folder, path, "file")), 0);
    check_text(&s, "file", "one");
    next_turn(&s);
    check_refused(&s, "file", ENOENT);
    ck_assert_mem_eq(f->bytes, "one", 3);       /* who holds it still has it whole */
    file_unref(f);
    file_unref(again);
    site_close(&s);
}
END_TEST

START_TEST(file_that_does_not_change_is_opened_once)
{
    struct site s;
    site_open(&s);
    folder_write_text(&s.folder, "small", "abc");
    write_size(&s, "large", LARGE);
    site_age(&s);
    struct file *small = get(&s, "small"), *large = get(&s, "large");
    for (int i = 0; i < 5; i++) {
        next_turn(&s);
        struct file *a = get(&s, "small"), *b = get(&s, "large");
        ck_assert_ptr_eq(a, small);
        ck_assert_ptr_eq(b, large);
        file_unref(a);
        file_unref(b);
    }
    file_unref(small);
    file_unref(large);
    site_close(&s);
}
END_TEST

START_TEST(file_that_is_young_is_read_anew_each_turn)
{
    struct site s;
    char text[] = "version 0";
    site_open(&s);
    for (int i = 0; i < 50; i++) {      /* the same size, within the same second, mostly within a time stamp's step */
        text[8] = (char)('0' + i % 10);
        folder_write_text(&s.folder, "file", text);
        next_turn(&s);
        check_text(&s, "file", text);
    }
    site_close(&s);
}
END_TEST

static void set_mtime(struct site *s, const char *name, time_t when)
{
    char path[PATH_MAX];
    struct timespec times[2] = { { .tv_sec = when }, { .tv_sec = when } };
    ck_assert_int_eq(utimensat(AT_FDCWD, folder_path(&s->folder, path, name), times, 0), 0);
}

/* As rsync and cp -p do: the time of modification says nothing about how young the content is. */
START_TEST(file_is_fresh_though_its_time_of_modification_was_set_back)
{
    struct site s;
    char text[] = "version 0";
    site_open(&s);
    for (int i = 0; i < 50; i++) {
        text[8] = (char)('0' + i % 10);
        folder_write_text(&s.folder, "file", text);
        set_mtime(&s, "file", 1000000000);
        next_turn(&s);
        check_text(&s, "file", text);
    }
    site_close(&s);
}
END_TEST

START_TEST(file_from_the_future_is_cached_like_any_other)
{
    struct site s;
    site_open(&s);
    folder_write_text(&s.folder, "file", "abc");
    set_mtime(&s, "file", 4000000000);
    site_age(&s);
    struct file *f = get(&s, "file");
    next_turn(&s);
    struct file *again = get(&s, "file");
    ck_assert_ptr_eq(f, again);
    file_unref(f);
    file_unref(again);
    site_close(&s);
}
END_TEST

/* Changes a file until its time stamps show it: they move in steps of some milliseconds. */
static void write_until_it_shows(struct site *s, const char *name, const char *text)
{
    char path[PATH_MAX];
    struct stat before, after;
    ck_assert_int_eq(stat(folder_path(&s->folder, path, name), &before), 0);
    do {
        folder_write_text(&s->folder, name, text);
        ck_assert_int_eq(stat(path, &after), 0);
    } while (memcmp(&before.st_ctim, &after.st_ctim, sizeof before.st_ctim) == 0);
}

START_TEST(file_is_fresh_after_a_change_in_place)
{
    struct site s;
    site_open(&s);
    folder_write_text(&s.folder, "file", "one");
    site_age(&s);
    check_text(&s, "file", "one");
    write_until_it_shows(&s, "file", "two");
    next_turn(&s);
    check_text(&s, "file", "two");
    folder_write_text(&s.folder, "file", "longer");
    next_turn(&s);
    check_text(&s, "file", "longer");
    site_close(&s);
}
END_TEST

START_TEST(file_is_fresh_after_a_rename)
{
    struct site s;
    char from[PATH_MAX], to[PATH_MAX];
    site_open(&s);
    folder_write_text(&s.folder, "file", "one");
    folder_write_text(&s.folder, "next", "two");
    site_age(&s);
    check_text(&s, "file", "one");
    ck_assert_int_eq(rename(folder_path(&s.folder, from, "next"), folder_path(&s.folder, to, "file")), 0);
    next_turn(&s);
    check_text(&s, "file", "two");
    check_refused(&s, "next", ENOENT);
    site_close(&s);
}
END_TEST

START_TEST(file_is_gone_after_a_delete_and_back_after_a_new_one)
{
    struct site s;
    char path[PATH_MAX];
    site_open(&s);
    write_size(&s, "file", LARGE);
    site_age(&s);
    struct file *f = get(&s, "file");
    ck_assert_int_eq(unlink(folder_path(&s.folder, path, "file")), 0);
    next_turn(&s);
    check_refused(&s, "file", ENOENT);
    char byte;
    ck_assert_int_eq(pread(f->fd, &byte, 1, LARGE - 1), 1);
    file_unref(f);
    folder_write_text(&s.folder, "file", "back");
    check_text(&s, "file", "back");
    site_close(&s);
}
END_TEST

START_TEST(file_obeys_a_change_of_mode)
{
    struct site s;
    char path[PATH_MAX];
    site_open(&s);
    folder_write_text(&s.folder, "file", "abc");
    site_age(&s);
    check_text(&s, "file", "abc");
    struct stat before, after;
    ck_assert_int_eq(stat(folder_path(&s.folder, path, "file"), &before), 0);
    do {
        ck_assert_int_eq(chmod(path, 0), 0);
        ck_assert_int_eq(stat(path, &after), 0);
    } while (memcmp(&before.st_ctim, &after.st_ctim, sizeof before.st_ctim) == 0);
    next_turn(&s);
    uid_t me = geteuid();
    if (me == 0)
        ck_assert_int_eq(seteuid(65534), 0);
    check_refused(&s, "file", EACCES);
    if (me == 0)
        ck_assert_int_eq(seteuid(me), 0);
    site_close(&s);
}
END_TEST

START_TEST(file_is_looked_up_in_its_own_root)
{
    struct site a, b;
    site_open(&a);
    folder_write_text(&a.folder, "file", "of a");
    site_open(&b);
    folder_write_text(&b.folder, "file", "of b");
    for (int i = 0; i < 2; i++) {
        check_text(&a, "file", "of a");
        struct file *f = file_get(&a.env, b.root, SPAN("file"));
        ck_assert_mem_eq(f->bytes, "of b", 4);
        file_unref(f);
    }
    site_close(&b);
    site_close(&a);
}
END_TEST

/* --- bounds --- */

static void write_many(struct site *s, unsigned count, size_t size)
{
    char name[32];
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%u", i);
        write_size(s, name, size);
    }
}

static struct file *get_number(struct site *s, unsigned i)
{
    char name[32];
    snprintf(name, sizeof name, "%u", i);
    return get(s, name);
}

/* Looks up `count` files of `size` bytes; returns how many of them the cache still has then. */
static unsigned remembered(struct site *s, unsigned count, size_t size)
{
    struct file **first = calloc(count, sizeof *first);
    unsigned same = 0;
    write_many(s, count, size);
    site_age(s);
    for (unsigned i = 0; i < count; i++) {
        first[i] = get_number(s, i);
        ck_assert_ptr_nonnull(first[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        ck_assert_uint_eq(first[i]->size, size);
        same += first[i]->refs > 1;
        file_unref(first[i]);
    }
    free(first);
    return same;
}

START_TEST(file_cache_remembers_so_many_names)
{
    struct site s;
    site_open(&s);
    ck_assert_uint_eq(remembered(&s, 2100, 10), 2048);
    site_close(&s);
}
END_TEST

START_TEST(file_cache_keeps_so_many_descriptors)
{
    struct site s;
    site_open(&s);
    unsigned before = descriptors_open();
    ck_assert_uint_eq(remembered(&s, 300, LARGE), 256);
    ck_assert_uint_eq(descriptors_open(), before + 256);
    site_close(&s);
}
END_TEST

START_TEST(file_cache_keeps_so_much_memory)
{
    struct site s;
    site_open(&s);
    ck_assert_uint_eq(remembered(&s, 1100, SMALL), (16u << 20) / SMALL);
    site_close(&s);
}
END_TEST

START_TEST(file_cache_evicts_what_was_not_used_for_longest)
{
    struct site s;
    site_open(&s);
    write_many(&s, 260, LARGE);
    site_age(&s);
    struct file *kept = get_number(&s, 0), *dropped = get_number(&s, 1);
    for (unsigned i = 2; i < 260; i++) {
        file_unref(get_number(&s, i));
        file_unref(get_number(&s, 0));
    }
    ck_assert_uint_eq(kept->refs, 2);
    ck_assert_uint_eq(dropped->refs, 1);
    char byte;
    ck_assert_int_eq(pread(dropped->fd, &byte, 1, 0), 1);
    file_unref(kept);
    file_unref(dropped);
    site_close(&s);
}
END_TEST

START_TEST(file_outlives_the_cache)
{
    struct site s;
    site_open(&s);
    write_size(&s, "large", LARGE);
    folder_write_text(&s.folder, "small", "abc");
    struct file *large = get(&s, "large"), *small = get(&s, "small");
    file_cache_free(s.env.files);
    s.env.files = NULL;
    char byte;
    ck_assert_int_eq(pread(large->fd, &byte, 1, 0), 1);
    ck_assert_mem_eq(small->bytes, "abc", 3);
    file_unref(large);
    file_unref(small);
    site_close(&s);
}
END_TEST

START_TEST(file_cache_gives_its_descriptors_up_when_they_are_short)
{
    struct site s;
    struct rlimit limit, low;
    site_open(&s);
    write_many(&s, 20, LARGE);
    write_size(&s, "wanted", LARGE);
    for (unsigned i = 0; i < 20; i++)
        file_unref(get_number(&s, i));
    getrlimit(RLIMIT_NOFILE, &limit);
    int next = fcntl(0, F_DUPFD_CLOEXEC, 0);            /* the first number that is free */
    close(next);
    low = (struct rlimit){ (rlim_t)next, limit.rlim_max };
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    struct file *f = get(&s, "wanted");
    setrlimit(RLIMIT_NOFILE, &limit);
    ck_assert_ptr_nonnull(f);
    file_unref(f);
    site_close(&s);
}
END_TEST

static TCase *case_lookup(void)
{
    TCase *t = tcase_create("lookup");
    tcase_add_test(t, root_open_says_why_it_cannot);
    tcase_add_test(t, file_small_is_in_memory_and_large_is_a_descriptor);
    tcase_add_test(t, file_knows_its_time_and_inode);
    tcase_add_test(t, file_get_refuses_what_is_no_file);
    tcase_add_test(t, file_get_refuses_devices);
    tcase_add_test(t, file_get_refuses_names_that_no_file_can_have);
    tcase_add_test(t, file_get_reads_only_its_span);
    tcase_add_test(t, file_links_lead_nowhere_outside);
    tcase_add_test(t, file_get_works_without_a_cache);
    tcase_add_test(t, file_is_looked_up_in_its_own_root);
    return t;
}

static TCase *case_freshness(void)
{
    TCase *t = tcase_create("freshness");
    tcase_add_test(t, file_is_looked_up_once_in_a_turn);
    tcase_add_test(t, file_that_does_not_change_is_opened_once);
    tcase_add_test(t, file_that_is_young_is_read_anew_each_turn);
    tcase_add_test(t, file_is_fresh_though_its_time_of_modification_was_set_back);
    tcase_add_test(t, file_from_the_future_is_cached_like_any_other);
    tcase_add_test(t, file_is_fresh_after_a_change_in_place);
    tcase_add_test(t, file_is_fresh_after_a_rename);
    tcase_add_test(t, file_is_gone_after_a_delete_and_back_after_a_new_one);
    tcase_add_test(t, file_obeys_a_change_of_mode);
    return t;
}

static TCase *case_bounds(void)
{
    TCase *t = tcase_create("bounds");
    tcase_set_timeout(t, 30);
    tcase_add_test(t, file_cache_remembers_so_many_names);
    tcase_add_test(t, file_cache_keeps_so_many_descriptors);
    tcase_add_test(t, file_cache_keeps_so_much_memory);
    tcase_add_test(t, file_cache_evicts_what_was_not_used_for_longest);
    tcase_add_test(t, file_outlives_the_cache);
    tcase_add_test(t, file_cache_gives_its_descriptors_up_when_they_are_short);
    return t;
}

int main(void)
{
    Suite *s = suite_create("file");
    suite_add_tcase(s, case_lookup());
    suite_add_tcase(s, case_freshness());
    suite_add_tcase(s, case_bounds());
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
