/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of core/file.c: a cache that is never older than a turn, and never larger than it may be. */
#include <fcntl.h>
#include <sys/resource.h>

#include "unit/site.h"

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
    /* The same size, within the same second, mostly within a time stamp's step. */
    for (int i = 0; i < 50; i++) {
        text[8] = (char)('0' + i % 10);
        folder_write_text(&s.folder, "file", text);
        next_turn(&s);
        check_text(&s, "file", text);
    }
    struct file *f = get(&s, "file");           /* also where the kernel's time stamps are finer than most */
    next_turn(&s);
    struct file *again = get(&s, "file");
    ck_assert_ptr_ne(f, again);
    file_unref(f);
    file_unref(again);
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
    Suite *s = suite_create("file_cache");
    suite_add_tcase(s, case_freshness());
    suite_add_tcase(s, case_bounds());
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
