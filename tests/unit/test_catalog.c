/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of core/catalog.c. */
#include "core/catalog.h"

#include <sys/stat.h>

#include "unit/site.h"

static struct site site;

static void catalog_setup(void)
{
    site_open(&site);
}

static void catalog_teardown(void)
{
    site_close(&site);
}

static const struct catalog_entry *entry(const struct catalog *f, const char *name)
{
    const struct catalog_entry *found = NULL;
    for (unsigned i = 0; f != NULL && i < f->count; i++)
        if (strcmp(f->v[i].name, name) == 0) {
            ck_assert_ptr_null(found);
            found = &f->v[i];
        }
    return found;
}

static void make_folder(const char *name)
{
    char path[PATH_MAX];
    ck_assert_int_eq(mkdir(folder_path(&site.folder, path, name), 0755), 0);
}

static void make_link(const char *to, const char *name)
{
    char path[PATH_MAX];
    ck_assert_int_eq(symlink(to, folder_path(&site.folder, path, name)), 0);
}

START_TEST(catalog_has_files_and_folders)
{
    struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = 1234567890 } };
    char path[PATH_MAX];
    folder_write_text(&site.folder, "a", "12345");
    make_folder("sub");
    folder_write_text(&site.folder, "sub/b", "");
    ck_assert_int_eq(utimensat(AT_FDCWD, folder_path(&site.folder, path, "a"), times, 0), 0);
    struct catalog *f = catalog_read(site.root, "", 100, false);
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(f->count, 2);
    ck_assert(!f->cut);
    ck_assert_uint_eq(entry(f, "a")->size, 5);
    ck_assert_int_eq(entry(f, "a")->mtime_s, 1234567890);
    ck_assert(!entry(f, "a")->folder && entry(f, "sub")->folder);
    ck_assert_uint_eq(entry(f, "sub")->size, 0);
    catalog_free(f);
    f = catalog_read(site.root, "sub", 100, false);
    ck_assert_uint_eq(f->count, 1);
    ck_assert_ptr_nonnull(entry(f, "b"));
    catalog_free(f);
    catalog_free(NULL);
}
END_TEST

START_TEST(catalog_without_entries)
{
    struct catalog *f = catalog_read(site.root, "", 100, true);
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(f->count, 0);
    catalog_free(f);
}
END_TEST

START_TEST(catalog_hides_dotfiles_and_what_no_request_can_name)
{
    folder_write_text(&site.folder, ".a", "");
    folder_write_text(&site.folder, "..b", "");
    folder_write_text(&site.folder, "new\nline", "");
    folder_write_text(&site.folder, "del\x7f", "");
    struct catalog *f = catalog_read(site.root, "", 100, false);
    ck_assert_uint_eq(f->count, 0);
    catalog_free(f);
    f = catalog_read(site.root, "", 100, true);
    ck_assert_uint_eq(f->count, 2);
    ck_assert(entry(f, ".a") != NULL && entry(f, "..b") != NULL);
    catalog_free(f);
}
END_TEST

/* Where the kernel cannot keep links beneath the root, none is followed, and none shown. */
START_TEST(catalog_shows_links_within_the_root_only)
{
    char path[PATH_MAX];
    folder_write_text(&site.folder, "a", "12345");
    make_folder("sub");
    make_link("a", "file");
    make_link("sub", "folder");
    make_link("../a", "sub/up");
    make_link("/etc/passwd", "out");
    make_link("../..", "above");
    make_link("nowhere", "broken");
    make_link("loop", "loop");
    ck_assert_int_eq(mkfifo(folder_path(&site.folder, path, "fifo"), 0644), 0);
    make_link("fifo", "to-fifo");
    struct file *linked = get(&site, "file");
    bool follows = linked != NULL;
    file_unref(linked);
    struct catalog *f = catalog_read(site.root, "", 100, false);
    ck_assert_uint_eq(f->count, follows ? 4 : 2);
    ck_assert(entry(f, "a") != NULL && entry(f, "sub") != NULL);
    if (follows) {
        ck_assert_uint_eq(entry(f, "file")->size, 5);
        ck_assert(entry(f, "folder")->folder);
    }
    catalog_free(f);
    f = catalog_read(site.root, "sub", 100, false);
    ck_assert_int_eq(entry(f, "up") != NULL, follows);
    catalog_free(f);
}
END_TEST

START_TEST(catalog_is_cut_when_it_has_too_much)
{
    char name[16];
    for (unsigned i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "%u", i);
        folder_write_text(&site.folder, name, "");
    }
    struct catalog *f = catalog_read(site.root, "", 60, false);
    ck_assert_uint_eq(f->count, 60);
    ck_assert(!f->cut);
    catalog_free(f);
    f = catalog_read(site.root, "", 59, false);
    ck_assert_uint_eq(f->count, 59);
    ck_assert(f->cut);
    catalog_free(f);
}
END_TEST

static void check_unreadable(const char *path, int error)
{
    errno = 0;
    ck_assert_ptr_null(catalog_read(site.root, path, 100, false));
    ck_assert_msg(errno == error, "%s: %s", path, strerrorname_np(errno));
}

START_TEST(catalog_that_is_none_says_why)
{
    folder_write_text(&site.folder, "a", "");
    make_link("/etc", "out");
    check_unreadable("nowhere", ENOENT);
    check_unreadable("a", ENOTDIR);
    check_unreadable("a/b", ENOTDIR);
    errno = 0;
    ck_assert_ptr_null(catalog_read(site.root, "out", 100, false));
    ck_assert(errno == EXDEV || errno == ELOOP || errno == ENOTDIR);
    ck_assert_ptr_null(catalog_read(site.root, "..", 100, false));
    ck_assert(errno == EXDEV);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("catalog");
    TCase *tc = tcase_create("catalog");
    tcase_add_checked_fixture(tc, catalog_setup, catalog_teardown);
    tcase_add_test(tc, catalog_has_files_and_folders);
    tcase_add_test(tc, catalog_without_entries);
    tcase_add_test(tc, catalog_hides_dotfiles_and_what_no_request_can_name);
    tcase_add_test(tc, catalog_shows_links_within_the_root_only);
    tcase_add_test(tc, catalog_is_cut_when_it_has_too_much);
    tcase_add_test(tc, catalog_that_is_none_says_why);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
