/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of core/file.c: lookups beneath a root. */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "unit/site.h"

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
    struct file *in = get(&s, "in");
    if (in != NULL)
        check_text(&s, "in", "inside");
    else
        check_leads_out(&s, "in");
    file_unref(in);
    check_leads_out(&s, "absolute");
    check_leads_out(&s, "out");
    /* a name that was good and is cached turns into a link that leads out */
    site_age(&s);
    next_turn(&s);
    check_text(&s, "file", "inside");
    ck_assert_int_eq(symlink("/etc/passwd", folder_path(&s.folder, path, "new")), 0);
    char to[PATH_MAX];
    ck_assert_int_eq(rename(path, folder_path(&s.folder, to, "file")), 0);
    next_turn(&s);
    check_leads_out(&s, "file");
    check_leads_out(&s, "in");
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

START_TEST(root_in_trouble_is_news_once_a_minute)
{
    struct site s;
    site_open(&s);
    ck_assert(root_is_news(s.root, 1000));
    ck_assert(!root_is_news(s.root, 1000));
    ck_assert(!root_is_news(s.root, 60999));
    ck_assert(root_is_news(s.root, 61000));
    ck_assert(!root_is_news(s.root, 61001));
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
    tcase_add_test(t, root_in_trouble_is_news_once_a_minute);
    return t;
}

int main(void)
{
    Suite *s = suite_create("file");
    suite_add_tcase(s, case_lookup());
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
