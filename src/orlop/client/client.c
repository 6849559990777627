/* The thin client: has a command carried out by a process that has everything loaded already.
 *
 *     orlop SOCKET PYTHON -IS PROGRAM WORDS...
 *
 * bin/orlop executes this instead of an interpreter where a launcher listens at SOCKET; orlop/cli/warm.py is the other
 * side. It hands over its words, its environment, its standard streams and what shows where it is, and then only waits:
 * for the exit status, and for signals, which it passes on. If anything does not fit, it becomes the interpreter
 * after all, with the words that it was given. Until the other side says that it has begun, nothing was done.
 *
 * There is no C library below it, so that it has less than three kilobytes and starts in a fraction of a millisecond.
 * scripts/make_programs.py compiles it for the machines that there is a directory for here.
 */

typedef unsigned int u32;
typedef unsigned long u64;

#if defined(__x86_64__)
enum { READ = 0, WRITE = 1, RT_SIGACTION = 13, RT_SIGPROCMASK = 14, GETPID = 39, SOCKET = 41, CONNECT = 42, SENDMSG = 46,
	RECVMSG = 47, SHUTDOWN = 48, GETSOCKOPT = 55, EXECVE = 59, KILL = 62, GETEUID = 107, EXIT_GROUP = 231,
	OPENAT = 257, PPOLL = 271, SIGNALFD4 = 289, PIDFD_SEND_SIGNAL = 424 };
#define O_DIRECTORY 0200000
#elif defined(__aarch64__)
enum { READ = 63, WRITE = 64, RT_SIGACTION = 134, RT_SIGPROCMASK = 135, GETPID = 172, SOCKET = 198, CONNECT = 203, SENDMSG = 211,
	RECVMSG = 212, SHUTDOWN = 210, GETSOCKOPT = 209, EXECVE = 221, KILL = 129, GETEUID = 175, EXIT_GROUP = 94,
	OPENAT = 56, PPOLL = 73, SIGNALFD4 = 74, PIDFD_SEND_SIGNAL = 424 };
#define O_DIRECTORY 040000
#else
#error "no system calls for this machine"
#endif

#define AT_FDCWD (-100)
#define O_PATH 010000000
#define O_CLOEXEC 02000000
#define AF_UNIX 1
#define SOCK_SEQPACKET 5
#define SOCK_NONBLOCK 04000
#define SOL_SOCKET 1
#define SO_PEERCRED 17
#define SCM_RIGHTS 1
#define MSG_NOSIGNAL 0x4000
#define MSG_CMSG_CLOEXEC 0x40000000
#define SHUT_RD 0
#define POLLIN 1
#define PIDFD_SIGNAL_PROCESS_GROUP 4 /* Linux 6.9 */

#define SIG_BLOCK 0
#define SIG_UNBLOCK 1
#define SIG_SETMASK 2
#define SIG_IGN 1
enum { SIGKILL = 9, SIGCHLD = 17, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH = 28 };

#define EAGAIN 11
#define EINVAL 22

#define LARGEST (128 << 10) /* bytes of a request: one packet, which has to fit a socket's buffer */
#define PATIENCE 3          /* seconds in which the other side has to begin */

/* What the other side says: a kind, and four bytes that go with it. */
#define BEGUN 'b'    /* its process id; with it comes a descriptor of that process */
#define DONE 'd'     /* the exit status */
#define NOT_MINE 'n' /* it has done nothing and will not */

struct address { unsigned short family; char path[108]; };
struct credentials { u32 pid, uid, gid; };
struct piece { const void *base; u64 length; };
struct message { void *name; u32 name_length; struct piece *pieces; u64 count; void *control; u64 control_length; u32 flags; };
struct rights { u64 length; int level, type, descriptors[6]; };
struct packet { char kind; unsigned char body[4]; };
struct waiting { int descriptor; short events, happened; };
struct action { u64 handler, rest[3]; };
struct span { long seconds, nanoseconds; };

struct command { int socket, signals, process, pid; };

/* A system call; a negative result is an errno. */
static long call(long number, long a, long b, long c, long d, long e)
{
#if defined(__x86_64__)
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	__asm__ volatile("syscall"
		: "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
	return result;
#else
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
	return x0;
#endif
}

/* The compiler's own copies and zeroes, which it calls where it finds that shorter. */
void *memcpy(void *to, const void *from, u64 count)
{
	for (u64 at = 0; at < count; at++)
		((char *)to)[at] = ((const char *)from)[at];
	return to;
}

void *memset(void *to, int value, u64 count)
{
	for (u64 at = 0; at < count; at++)
		((char *)to)[at] = value;
	return to;
}

static u64 length_of(const char *text)
{
	u64 length = 0;
	while (text[length])
		length++;
	return length;
}

static void set_mask(int how, u64 mask)
{
	call(RT_SIGPROCMASK, how, (long)&mask, 0, sizeof mask, 0);
}

static void signal_self(int number)
{
	call(KILL, call(GETPID, 0, 0, 0, 0, 0), number, 0, 0, 0);
}

__attribute__((noreturn)) static void leave(int status)
{
	for (;;)
		call(EXIT_GROUP, status, 0, 0, 0, 0);
}

/* Become the interpreter. `words` begins with its path, or with its name, which env(1) looks up. */
__attribute__((noreturn)) static void become_interpreter(char **words, char **environment)
{
	const char *path = "/usr/bin/env";
	for (char *each = *words; *each; each++)
		if (*each == '/')
			path = *words;
	if (path != *words)
		*--words = "env";
	call(EXECVE, (long)path, (long)words, (long)environment, 0, 0);
	static const char complaint[] = "orlop: its Python interpreter cannot be executed\n";
	call(WRITE, 2, (long)complaint, sizeof complaint - 1, 0, 0);
	leave(126);
}

/* A connection to a launcher of this very user's, or something negative. */
static int connect_to(const char *path)
{
	struct address address = {AF_UNIX, {0}};
	struct credentials theirs;
	u32 size = sizeof theirs;
	u64 length = length_of(path);
	if (length >= sizeof address.path)
		return -1;
	for (u64 at = 0; at < length; at++)
		address.path[at] = path[at];
	/* Not to wait: a launcher with more callers than its backlog holds is slower than an interpreter. */
	int socket = call(SOCKET, AF_UNIX, SOCK_SEQPACKET | O_CLOEXEC | SOCK_NONBLOCK, 0, 0, 0);
	if (call(CONNECT, socket, (long)&address, sizeof address.family + length + 1, 0, 0) < 0)
		return -1;
	/* Whoever listens is going to have our streams and our environment, and where it lies others may have a say. */
	if (call(GETSOCKOPT, socket, SOL_SOCKET, SO_PEERCRED, (long)&theirs, (long)&size) < 0)
		return -1;
	return theirs.uid == (u32)call(GETEUID, 0, 0, 0, 0, 0) ? socket : -1;
}

/* Send `count` strings from `first` on and the environment's, which lie behind each other on the stack. */
static int send_request(int socket, char **first, u32 count, char **environment)
{
	u32 variables = 0;
	char *end = first[count - 1];
	while (environment[variables])
		end = environment[variables++];
	end += length_of(end) + 1;
	if (end < *first || end - *first > LARGEST)
		return -1;
	u32 counts[2] = {count, variables};
	struct piece pieces[2] = {{counts, sizeof counts}, {*first, end - *first}};
	struct rights rights = {16 + 5 * sizeof(int), SOL_SOCKET, SCM_RIGHTS, {0, 1, 2}};
	rights.descriptors[3] = call(OPENAT, AT_FDCWD, (long)"/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, 0);
	rights.descriptors[4] = call(OPENAT, AT_FDCWD, (long)".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, 0);
	struct message message = {0, 0, pieces, 2, &rights, sizeof rights, 0};
	return call(SENDMSG, socket, (long)&message, MSG_NOSIGNAL, 0, 0);
}

/* The next packet, and the descriptor that came with it; without one its kind is 0. */
static long receive(int socket, struct packet *packet, int *descriptor)
{
	struct rights rights = {0};
	struct piece piece = {packet, sizeof *packet};
	struct message message = {0, 0, &piece, 1, &rights, sizeof rights, 0};
	packet->kind = 0;
	long length = call(RECVMSG, socket, (long)&message, MSG_CMSG_CLOEXEC, 0, 0);
	if (rights.type == SCM_RIGHTS && rights.length > 16)
		*descriptor = rights.descriptors[0];
	return length;
}

static u32 number_in(const struct packet *packet)
{
	return packet->body[0] | packet->body[1] << 8 | packet->body[2] << 16 | (u32)packet->body[3] << 24;
}

/* Wait for the other side to begin; whether it did. */
static int has_begun(struct command *command)
{
	struct waiting waiting = {command->socket, POLLIN, 0};
	struct span patience = {PATIENCE, 0};
	struct packet packet;
	/* After the shutdown it cannot say so any more, so that what it has not said by then it does not do. */
	if (call(PPOLL, (long)&waiting, 1, (long)&patience, 0, sizeof(u64)) <= 0)
		call(SHUTDOWN, command->socket, SHUT_RD, 0, 0, 0);
	receive(command->socket, &packet, &command->process);
	command->pid = number_in(&packet);
	return packet.kind == BEGUN && command->process >= 0;
}

/* Send a signal to all that belongs to the command, as a terminal would. */
static void signal_command(const struct command *command, int number)
{
	if (call(PIDFD_SEND_SIGNAL, command->process, number, 0, PIDFD_SIGNAL_PROCESS_GROUP, 0) == -EINVAL
	    && call(PIDFD_SEND_SIGNAL, command->process, 0, 0, 0, 0) == 0)
		call(KILL, -command->pid, number, 0, 0, 0);
}

/* Stop, as a shell wants its job to, and have the command stopped meanwhile, which is nobody's job. */
static void stop(const struct command *command, int number)
{
	struct action now = {0, {0}};
	call(RT_SIGACTION, number, 0, (long)&now, sizeof(u64), 0);
	if (now.handler == SIG_IGN)
		return;
	signal_command(command, SIGSTOP);
	signal_self(number);
	set_mask(SIG_UNBLOCK, 1UL << (number - 1));
	set_mask(SIG_BLOCK, 1UL << (number - 1));
	signal_command(command, SIGCONT);
}

/* Wait until the command is done; returns its exit status, or -1 if it is to be done here. */
static int accompany(const struct command *command)
{
	u32 signal[32]; /* struct signalfd_siginfo, which begins with the number */
	int fatal = SIGKILL, none;
	for (;;) {
		struct waiting waiting[3] = {
			{command->socket, POLLIN, 0}, {command->signals, POLLIN, 0}, {command->process, POLLIN, 0}};
		struct packet packet;
		call(PPOLL, (long)waiting, 3, 0, 0, sizeof(u64));
		long length = receive(command->socket, &packet, &none);
		if (packet.kind == DONE)
			return number_in(&packet);
		if (packet.kind == NOT_MINE)
			return -1;
		if (length != -EAGAIN || waiting[2].happened) {
			/* It was ended, by what we passed on or by something that would have ended us in its place. */
			signal_self(fatal);
			set_mask(SIG_SETMASK, 0);
			signal_self(SIGKILL);
		}
		if (!waiting[1].happened || call(READ, command->signals, (long)signal, sizeof signal, 0, 0) < 4)
			continue;
		int number = *signal;
		if (number == SIGTSTP || number == SIGTTIN || number == SIGTTOU) {
			stop(command, number);
		} else if (number != SIGCHLD) {
			signal_command(command, number);
			if (number != SIGCONT && number != SIGURG && number != SIGWINCH)
				fatal = number;
		}
	}
}

__attribute__((used, noreturn)) static void start(u64 *stack)
{
	u64 count = stack[0], before = 0, all = ~0UL;
	char **words = (char **)(stack + 1);
	char **environment = words + count + 1;
	char **interpreter = words + 2;
	if (count < 5)
		leave(126);
	struct command command = {connect_to(words[1]), -1, -1, 0};
	if (command.socket > 2) { /* else one of the standard streams is closed */
		call(RT_SIGPROCMASK, SIG_SETMASK, (long)&all, (long)&before, sizeof all, 0);
		command.signals = call(SIGNALFD4, -1, (long)&all, sizeof all, O_CLOEXEC, 0);
		/* What the caller had blocked would not be blocked there. */
		if (before == 0 && command.signals >= 0
		    && send_request(command.socket, interpreter, count - 2, environment) >= 0 && has_begun(&command)) {
			int status = accompany(&command);
			if (status >= 0)
				leave(status);
		}
		set_mask(SIG_SETMASK, before);
	}
	become_interpreter(interpreter, environment);
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start\n");
#else
__asm__(".globl _start\n_start:\n\tmov x0, sp\n\tbl start\n");
#endif
