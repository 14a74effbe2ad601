# SPDX-License-Identifier: BSD-2-Clause
"""Where no systemd runs, as in the making of an image: installed and purged all the same."""


def test_installing_and_purging_without_a_running_systemd(unbooted, built):
    before = unbooted.files()
    target = unbooted.path("/root/iomuxd.deb")
    target.write_bytes(built.package.read_bytes())
    unbooted.chroot("dpkg", "-i", "/root/iomuxd.deb")
    target.unlink()
    assert unbooted.chroot("id", "-gn", "iomuxd").stdout.strip() == "iomuxd"
    assert unbooted.path("/etc/systemd/system/multi-user.target.wants/iomuxd.service").is_symlink()
    unbooted.chroot("iomuxd", "-t")
    unbooted.chroot("dpkg", "-P", "iomuxd")
    assert sorted(set(unbooted.files()) ^ set(before)) == []
