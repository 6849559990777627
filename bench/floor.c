/*
 * The floor: what the kernel alone takes for the container that the benchmark's bundle describes.
 *
 *     floor [--time] ROOTFS PROGRAM [ARGUMENT...]
 *
 * Makes the kernel do the same work as an OCI runtime does for the default bundle and nothing else: no
 * configuration is read, no path is checked, no state is kept, nothing is defended. Not a runtime; do not run
 * anything in it. With --time, prints how many nanoseconds passed between the first cgroup's mkdir and the
 * last one's rmdir, which leaves this program's own start out.
 *
 * References: clone3(2), mount(2), pivot_root(2), cgroups(7), capabilities(7), and the OCI runtime
 * specification, config-linux.md, for what there has to be in /dev and what is masked.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CGROUPS "/sys/fs/cgroup"
#define MOST_CGROUPS 16
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static void fail(const char *call, const char *path)
{
	fprintf(stderr, "floor: %s %s: %s\n", call, path, strerror(errno));
	_exit(125);
}

#define TRY(path, call)                    \
	do {                               \
		if ((call) < 0)            \
			fail(#call, path); \
	} while (0)

/* The hierarchies of control groups, found by listing, and the group of ours in each. */

struct control_group {
	char controller[NAME_MAX + 1];
	char path[PATH_MAX];
	int unified;   /* cgroup v2: joined by clone3 itself */
	int join_file; /* v1: `tasks`; v2: the directory */
};

static struct control_group groups[MOST_CGROUPS];
static size_t group_count;

static void put(const char *directory, const char *file, const char *text)
{
	char path[PATH_MAX + NAME_MAX + 2];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail("write", path);
	close(fd);
}

/* A new cpuset may use nothing until it is told what; take what the hierarchy's root has. */
static void inherit(const char *directory, const char *file)
{
	char path[PATH_MAX], text[4096];
	ssize_t size;
	int fd;

	snprintf(path, sizeof(path), CGROUPS "/cpuset/%s", file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || (size = read(fd, text, sizeof(text) - 1)) < 0)
		fail("read", path);
	text[size] = '\0';
	close(fd);
	put(directory, file, text);
}

static void make_groups(void)
{
	static const char *const devices[] = {
		"c *:* m",    "b *:* m",    "c 1:3 rwm",   "c 1:8 rwm",	 "c 1:7 rwm",
		"c 5:0 rwm",  "c 1:5 rwm",  "c 1:9 rwm",   "c 5:1 rwm",	 "c 136:* rwm",
		"c 5:2 rwm",
	};
	DIR *all = opendir(CGROUPS);
	struct dirent *entry;

	if (!all)
		fail("opendir", CGROUPS);
	while ((entry = readdir(all)) && group_count < MOST_CGROUPS) {
		struct control_group *group = &groups[group_count];
		char path[PATH_MAX];

		if (entry->d_name[0] == '.' || entry->d_type == DT_LNK)
			continue;
		strcpy(group->controller, entry->d_name);
		group->unified = strcmp(entry->d_name, "unified") == 0;
		snprintf(group->path, sizeof(group->path), CGROUPS "/%s/orlop-floor-%d", entry->d_name, getpid());
		TRY(group->path, mkdir(group->path, 0755));
		group_count++;
		if (strcmp(entry->d_name, "cpuset") == 0) {
			inherit(group->path, "cpuset.cpus");
			inherit(group->path, "cpuset.mems");
		} else if (strcmp(entry->d_name, "devices") == 0) {
			put(group->path, "devices.deny", "a");
			for (size_t i = 0; i < LENGTH(devices); i++)
				put(group->path, "devices.allow", devices[i]);
		}
		if (group->unified) {
			group->join_file = open(group->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		} else {
			snprintf(path, sizeof(path), "%.*s/tasks", PATH_MAX - 8, group->path);
			group->join_file = open(path, O_WRONLY | O_CLOEXEC);
		}
		if (group->join_file < 0)
			fail("open", group->path);
	}
	closedir(all);
}

static void remove_groups(void)
{
	for (size_t i = 0; i < group_count; i++) {
		close(groups[i].join_file);
		/* The last process is reaped, but the kernel may need a moment more to forget it. */
		for (int tries = 0; rmdir(groups[i].path) < 0; tries++) {
			if (errno != EBUSY || tries == 1000)
				fail("rmdir", groups[i].path);
			usleep(100);
		}
	}
}

/* The file systems. Everything is relative to the new root, which is the working directory. */

static void mount_one(const char *source, const char *target, const char *type, unsigned long flags, const char *data)
{
	if (mkdir(target, 0755) < 0 && errno != EEXIST)
		fail("mkdir", target);
	TRY(target, mount(source, target, type, flags, data));
}

static void make_devices(void)
{
	static const struct {
		const char *path;
		unsigned int major, minor;
	} nodes[] = {
		{ "dev/null", 1, 3 },	{ "dev/zero", 1, 5 },	 { "dev/full", 1, 7 },
		{ "dev/random", 1, 8 }, { "dev/urandom", 1, 9 }, { "dev/tty", 5, 0 },
	};
	static const char *const links[][2] = {
		{ "/proc/self/fd", "dev/fd" },
		{ "/proc/self/fd/0", "dev/stdin" },
		{ "/proc/self/fd/1", "dev/stdout" },
		{ "/proc/self/fd/2", "dev/stderr" },
		{ "pts/ptmx", "dev/ptmx" },
	};

	for (size_t i = 0; i < LENGTH(nodes); i++) {
		TRY(nodes[i].path, mknod(nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)));
		TRY(nodes[i].path, chmod(nodes[i].path, 0666));
	}
	for (size_t i = 0; i < LENGTH(links); i++)
		TRY(links[i][1], symlink(links[i][0], links[i][1]));
}

static void mount_groups(void)
{
	const unsigned long flags = MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RELATIME;

	TRY("sys/fs/cgroup", mount("tmpfs", "sys/fs/cgroup", "tmpfs", flags & ~MS_RELATIME, "mode=755"));
	for (size_t i = 0; i < group_count; i++) {
		const char *controller = groups[i].controller;
		char target[NAME_MAX + 32], named[NAME_MAX + 32];

		snprintf(target, sizeof(target), "sys/fs/cgroup/%.*s", NAME_MAX, controller);
		snprintf(named, sizeof(named), "%s%.*s", strcmp(controller, "systemd") ? "" : "none,name=", NAME_MAX,
			 controller);
		if (groups[i].unified)
			mount_one("cgroup", target, "cgroup2", flags | MS_RDONLY, NULL);
		else
			mount_one("cgroup", target, "cgroup", flags | MS_RDONLY, named);
	}
	TRY("sys/fs/cgroup", mount(NULL, "sys/fs/cgroup", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL));
}

static void protect_paths(void)
{
	static const char *const read_only[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger" };
	static const char *const masked[] = {
		"/proc/acpi",	    "/proc/asound",	 "/proc/kcore",	      "/proc/keys",    "/proc/latency_stats",
		"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
	};

	for (size_t i = 0; i < LENGTH(read_only); i++) {
		if (mount(read_only[i], read_only[i], NULL, MS_BIND | MS_REC, NULL) < 0) {
			if (errno == ENOENT)
				continue;
			fail("mount", read_only[i]);
		}
		TRY(read_only[i], mount(NULL, read_only[i], NULL,
					MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL));
	}
	for (size_t i = 0; i < LENGTH(masked); i++) {
		if (mount("/dev/null", masked[i], NULL, MS_BIND, NULL) == 0 || errno == ENOENT)
			continue;
		if (errno != ENOTDIR)
			fail("mount", masked[i]);
		TRY(masked[i], mount("tmpfs", masked[i], "tmpfs", MS_RDONLY, NULL));
	}
}

static void make_root(const char *root)
{
	TRY("/", mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL));
	TRY(root, mount(root, root, NULL, MS_BIND | MS_REC, NULL));
	TRY(root, chdir(root));
	mount_one("proc", "proc", "proc", 0, NULL);
	mount_one("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k");
	mount_one("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5");
	mount_one("shm", "dev/shm", "tmpfs", MS_NOSUID | MS_NOEXEC | MS_NODEV, "mode=1777,size=65536k");
	mount_one("mqueue", "dev/mqueue", "mqueue", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL);
	mount_one("sysfs", "sys", "sysfs", MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY, NULL);
	mount_groups();
	make_devices();
	TRY(root, syscall(SYS_pivot_root, ".", "."));
	TRY("/", umount2(".", MNT_DETACH));
	TRY("/", chdir("/"));
	protect_paths();
	TRY("/", mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
}

static void raise_loopback(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		fail("SIOCSIFFLAGS", "lo");
	close(fd);
}

static void drop_privileges(void)
{
	const struct rlimit files = { 1024, 1024 };
	const uint32_t kept = 1u << CAP_AUDIT_WRITE | 1u << CAP_KILL | 1u << CAP_NET_BIND_SERVICE;
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2] = { 0 };
	uint32_t held;

	TRY("capabilities", syscall(SYS_capget, &header, sets));
	held = sets[0].permitted & kept;
	for (int capability = 0; capability <= CAP_LAST_CAP; capability++) {
		if (capability < 32 && (kept & 1u << capability))
			continue;
		TRY("bounding set", prctl(PR_CAPBSET_DROP, capability, 0, 0, 0));
	}
	TRY("groups", setgroups(0, NULL));
	TRY("gid", setresgid(0, 0, 0));
	TRY("uid", setresuid(0, 0, 0));
	sets[0].permitted = sets[0].effective = sets[0].inheritable = held;
	sets[1].permitted = sets[1].effective = sets[1].inheritable = 0;
	TRY("capabilities", syscall(SYS_capset, &header, sets));
	for (int capability = 0; capability < 32; capability++)
		if (held & 1u << capability)
			TRY("ambient set", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0));
	TRY("rlimit", setrlimit(RLIMIT_NOFILE, &files));
	TRY("no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static void become_container(const char *root, char **command)
{
	static char *const environment[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL };

	for (size_t i = 0; i < group_count; i++)
		if (!groups[i].unified && write(groups[i].join_file, "0", 1) < 0)
			fail("join", groups[i].path);
	TRY("cgroup namespace", unshare(CLONE_NEWCGROUP));
	TRY("session", setsid());
	TRY("dumpable", prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
	make_root(root);
	TRY("hostname", sethostname("bench", 5));
	raise_loopback();
	umask(022);
	drop_privileges();
	TRY("descriptors", syscall(SYS_close_range, 3, ~0U, 0));
	execve(command[0], command, environment);
	fail("execve", command[0]);
}

static pid_t start(const char *root, char **command)
{
	struct clone_args arguments = {
		.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS,
		.exit_signal = SIGCHLD,
	};
	pid_t pid;

	for (size_t i = 0; i < group_count; i++) {
		if (groups[i].unified) {
			arguments.flags |= CLONE_INTO_CGROUP;
			arguments.cgroup = groups[i].join_file;
		}
	}
	pid = syscall(SYS_clone3, &arguments, sizeof(arguments));
	if (pid == 0)
		become_container(root, command);
	if (pid < 0)
		fail("clone3", "");
	return pid;
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int count, char **arguments)
{
	int timed = count > 1 && strcmp(arguments[1], "--time") == 0;
	int status;
	int64_t begin;
	pid_t pid;

	arguments += timed;
	if (count - timed < 3) {
		fprintf(stderr, "usage: floor [--time] ROOTFS PROGRAM [ARGUMENT...]\n");
		return 125;
	}
	begin = now();
	make_groups();
	pid = start(arguments[1], arguments + 2);
	if (waitpid(pid, &status, 0) < 0)
		fail("waitpid", "");
	remove_groups();
	if (timed)
		printf("%lld\n", (long long)(now() - begin));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
