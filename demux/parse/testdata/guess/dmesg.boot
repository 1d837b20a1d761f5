[    0.000000] Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14) 12.2.0, GNU ld) #1 SMP
[    0.000000] Command line: BOOT_IMAGE=/boot/vmlinuz root=UUID=1 ro quiet
[    1.234567] usb 1-1: new high-speed USB device number 2 using xhci_hcd
[   12.345678] EXT4-fs (sda1): mounted filesystem with ordered data mode
[12345.678901] Out of memory: Killed process 1234 (java) total-vm:1kB
kern  :info  : [    1.234567] usb 1-1: new high-speed USB device
kern  :warn  : [    2.234567] ACPI BIOS Error (bug): Could not resolve symbol
daemon:notice: [    3.234567] systemd[1]: Started Journal Service.
kern  :info  : [Sat Feb 28 10:00:00 2026] of dmesg -xT
[    2.000000][    T1] with a thread
no stamp
