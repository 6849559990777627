"""The system calls that a container may make unless its user says otherwise, in the format of Docker's profiles.

What is allowed is what Docker's default allows, so that an image which runs there runs here. It is a list of what is
needed: whatever is not in it, and whatever the kernel gains later, is refused. What is missing, and why:

- loading kernels and swapping (``kexec_load``, ``kexec_file_load``, ``swapon``, ``swapoff``): the machine's business,
  with no capability that a container is given for it;
- keyrings (``add_key``, ``keyctl``, ``request_key``): keys are shared by all containers of one user id;
- ``io_uring_*``: does what other system calls do without passing through this filter, and has had many bugs;
- ``userfaultfd``: holds the kernel still in the middle of a copy, which exploits of other bugs use;
- ``move_pages``, ``migrate_pages``: show and move memory of other processes between nodes;
- ``pivot_root``, ``mount`` and namespaces: for those who hold CAP_SYS_ADMIN (``clone`` and ``unshare`` into a new user
  namespace would lend that capability to anyone, together with all the kernel code behind it);
- ``nfsservctl``, ``uselib``, ``ustat``, ``sysfs``, ``_sysctl``, ``query_module``, ``vm86`` and their like: obsolete, and
  in the kernel only for programs that no image has;
- sockets of AF_ALG and AF_VSOCK: the first is rarely used and often attacked, the second reaches past a container to
  the host of its virtual machine.
"""

from __future__ import annotations

_FILE_CONTENT = """
open openat openat2 creat close close_range dup dup2 dup3 pipe pipe2
read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 lseek _llseek
fcntl fcntl64 flock ioctl
truncate truncate64 ftruncate ftruncate64 fallocate fadvise64 fadvise64_64 readahead cachestat
sendfile sendfile64 copy_file_range splice tee vmsplice
sync syncfs fsync fdatasync sync_file_range
io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents io_pgetevents_time64
memfd_create memfd_secret
"""

_DIRECTORIES_AND_NAMES = """
chdir fchdir getcwd getdents getdents64
mkdir mkdirat rmdir link linkat symlink symlinkat readlink readlinkat unlink unlinkat rename renameat renameat2
mknod mknodat umask name_to_handle_at
inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark
"""

_ATTRIBUTES_OF_FILES = """
stat stat64 fstat fstat64 lstat lstat64 newfstatat fstatat64 statx
statfs statfs64 fstatfs fstatfs64 statmount listmount
access faccessat faccessat2 chmod fchmod fchmodat fchmodat2
chown chown32 fchown fchown32 fchownat lchown lchown32
utime utimes futimesat utimensat utimensat_time64
getxattr lgetxattr fgetxattr getxattrat setxattr lsetxattr fsetxattr setxattrat
listxattr llistxattr flistxattr listxattrat removexattr lremovexattr fremovexattr removexattrat
"""

_WAITING_FOR_DESCRIPTORS = """
select _newselect pselect6 pselect6_time64 poll ppoll ppoll_time64
epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2
eventfd eventfd2 signalfd signalfd4
"""

_MEMORY = """
brk mmap mmap2 munmap mremap mprotect madvise mincore msync remap_file_pages
mlock mlock2 mlockall munlock munlockall mseal map_shadow_stack
pkey_alloc pkey_free pkey_mprotect membarrier
"""

_PROCESSES = """
fork vfork execve execveat exit exit_group wait4 waitid waitpid
getpid getppid gettid getpgid getpgrp setpgid getsid setsid
pidfd_open pidfd_send_signal process_mrelease
prctl seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self
getrlimit ugetrlimit setrlimit prlimit64 getrusage times getpriority setpriority ioprio_get ioprio_set
uname sysinfo getcpu getrandom
"""

_IDENTITIES = """
getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32
getresuid getresuid32 getresgid getresgid32 getgroups getgroups32
setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32
setresuid setresuid32 setresgid setresgid32 setfsuid setfsuid32 setfsgid setfsgid32 setgroups setgroups32
capget capset
"""

_SCHEDULING = """
sched_yield sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam
sched_getscheduler sched_setscheduler sched_get_priority_max sched_get_priority_min
sched_rr_get_interval sched_rr_get_interval_time64
"""

_THREADS = """
futex futex_time64 futex_wait futex_wake futex_waitv futex_requeue
set_tid_address set_robust_list get_robust_list get_thread_area set_thread_area rseq
"""

_SIGNALS = """
kill tkill tgkill pause alarm
rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_tgsigqueueinfo rt_sigreturn rt_sigsuspend
rt_sigtimedwait rt_sigtimedwait_time64 sigaltstack sigprocmask sigreturn restart_syscall
"""

# adjtimex and clock_adjtime only read the clock's state without CAP_SYS_TIME.
_TIME = """
time gettimeofday adjtimex clock_adjtime clock_adjtime64
clock_gettime clock_gettime64 clock_getres clock_getres_time64
nanosleep clock_nanosleep clock_nanosleep_time64 getitimer setitimer
timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64
timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64
"""

_SOCKETS = """
socketpair bind listen accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt
send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64 socketcall
"""

_MESSAGES = """
ipc msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget
mq_open mq_unlink mq_notify mq_getsetattr
mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64
"""

# Harmless on the one architecture that has them.
_OF_ONE_ARCHITECTURE = "riscv_hwprobe uretprobe"

_FOR_ADMINISTRATORS = """
mount mount_setattr move_mount open_tree fsopen fsconfig fsmount fspick umount umount2
clone clone3 setns unshare sethostname setdomainname
fanotify_init quotactl quotactl_fd lookup_dcookie syslog bpf perf_event_open
lsm_get_self_attr lsm_list_modules lsm_set_self_attr
"""

#: CLONE_NEW* except CLONE_NEWTIME, which clone cannot say.
_NEW_NAMESPACES = 0x7E020000

_ALLOW = "SCMP_ACT_ALLOW"
_SYS_ADMIN = {"caps": ["CAP_SYS_ADMIN"]}
_S390 = ["s390", "s390x"]


def _allow(names: str, **more: object) -> dict[str, object]:
    return {"names": names.split(), "action": _ALLOW, **more}


def _allow_if(name: str, index: int, operator: str, value: int, **more: object) -> dict[str, object]:
    return {"names": [name], "action": _ALLOW, "args": [{"index": index, "value": value, "op": operator}], **more}


def _with(names: str, capability: str) -> dict[str, object]:
    return _allow(names, includes={"caps": [capability]})


def _on(names: str, *arches: str) -> dict[str, object]:
    return _allow(names, includes={"arches": list(arches)})


def _family(main: str, *others: str) -> dict[str, object]:
    return {
        "architecture": f"SCMP_ARCH_{main}",
        "subArchitectures": [f"SCMP_ARCH_{other}" for other in others],
    }


PROFILE: dict[str, object] = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 1,  # EPERM
    "archMap": [
        _family("X86_64", "X86", "X32"),
        _family("AARCH64", "ARM"),
        _family("MIPS64", "MIPS", "MIPS64N32"),
        _family("MIPS64N32", "MIPS", "MIPS64"),
        _family("MIPSEL64", "MIPSEL", "MIPSEL64N32"),
        _family("MIPSEL64N32", "MIPSEL", "MIPSEL64"),
        _family("S390X", "S390"),
        _family("RISCV64"),
        _family("LOONGARCH64"),
    ],
    "syscalls": [
        _allow(_FILE_CONTENT),
        _allow(_DIRECTORIES_AND_NAMES),
        _allow(_ATTRIBUTES_OF_FILES),
        _allow(_WAITING_FOR_DESCRIPTORS),
        _allow(_MEMORY),
        _allow(_PROCESSES),
        _allow(_IDENTITIES),
        _allow(_SCHEDULING),
        _allow(_THREADS),
        _allow(_SIGNALS),
        _allow(_TIME),
        _allow(_SOCKETS),
        _allow(_MESSAGES),
        _allow(_OF_ONE_ARCHITECTURE),
        # Below AF_ALG, between it and AF_VSOCK, above AF_VSOCK.
        _allow_if("socket", 0, "SCMP_CMP_LT", 38),
        _allow_if("socket", 0, "SCMP_CMP_EQ", 39),
        _allow_if("socket", 0, "SCMP_CMP_GT", 40),
        # Linux, a 32-bit machine, the same with the release number of Linux 2.6, and asking what it is.
        _allow_if("personality", 0, "SCMP_CMP_EQ", 0x0),
        _allow_if("personality", 0, "SCMP_CMP_EQ", 0x8),
        _allow_if("personality", 0, "SCMP_CMP_EQ", 0x20000),
        _allow_if("personality", 0, "SCMP_CMP_EQ", 0x20008),
        _allow_if("personality", 0, "SCMP_CMP_EQ", 0xFFFFFFFF),
        # Before 4.8 a traced process could change its system call after the filter had seen it.
        _allow("ptrace process_vm_readv process_vm_writev", includes={"minKernel": "4.8"}),
        # New processes, but no namespaces. The filter cannot see the flags of clone3: libraries fall back on ENOSYS.
        _allow_if(
            "clone",
            0,
            "SCMP_CMP_MASKED_EQ",
            _NEW_NAMESPACES,
            excludes={**_SYS_ADMIN, "arches": _S390},
        ),
        _allow_if(
            "clone",
            1,  # s390 has the flags second
            "SCMP_CMP_MASKED_EQ",
            _NEW_NAMESPACES,
            includes={"arches": _S390},
            excludes=_SYS_ADMIN,
        ),
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "excludes": _SYS_ADMIN},
        _on("arch_prctl", "amd64", "x32"),
        _on("modify_ldt", "amd64", "x32", "x86"),
        _on("arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls", "arm", "arm64"),
        _on("sync_file_range2 swapcontext", "ppc64le"),
        _on("s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr", *_S390),
        _on("riscv_flush_icache", "riscv64"),
        _with(_FOR_ADMINISTRATORS, "CAP_SYS_ADMIN"),
        _with("open_by_handle_at", "CAP_DAC_READ_SEARCH"),
        _with("reboot", "CAP_SYS_BOOT"),
        _with("chroot", "CAP_SYS_CHROOT"),
        _with("init_module finit_module delete_module", "CAP_SYS_MODULE"),
        _with("acct", "CAP_SYS_PACCT"),
        _with("ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd kcmp", "CAP_SYS_PTRACE"),
        _with("iopl ioperm", "CAP_SYS_RAWIO"),
        _with("stime settimeofday clock_settime clock_settime64", "CAP_SYS_TIME"),
        _with("vhangup", "CAP_SYS_TTY_CONFIG"),
        _with("get_mempolicy set_mempolicy set_mempolicy_home_node mbind", "CAP_SYS_NICE"),
        _with("syslog", "CAP_SYSLOG"),
        _with("bpf", "CAP_BPF"),
        _with("perf_event_open", "CAP_PERFMON"),
    ],
}
