/* A function for the interpreter to call, not a program: where the file says that it begins, `spawn` does.
 *
 * It makes a process with clone3(2) that shares our memory (CLONE_VM, and CLONE_VFORK, so that we wait meanwhile) until it
 * executes another program, which it does at once. Python cannot do that by itself: what the new process did on our
 * stack on the way out of the system call would be there when we come back.
 *
 * scripts/make_programs.py compiles it for the machines that there is a directory for here; orlop/linux/call_list.py maps it.
 */

typedef unsigned long u64;

#if defined(__x86_64__)
enum { RT_SIGPROCMASK = 14, WAIT4 = 61, FCNTL = 72, EXIT_GROUP = 231, EXECVEAT = 322, CLONE3 = 435 };
#elif defined(__aarch64__)
enum { RT_SIGPROCMASK = 135, WAIT4 = 260, FCNTL = 25, EXIT_GROUP = 94, EXECVEAT = 281, CLONE3 = 435 };
#else
#error "no system calls for this machine"
#endif

#define AT_EMPTY_PATH 0x1000
#define F_SETFD 2
#define SIG_SETMASK 2

static inline __attribute__((always_inline)) long call(long number, u64 a, u64 b, u64 c, u64 d, u64 e)
{
#if defined(__x86_64__)
	long result;
	register u64 r10 __asm__("r10") = d;
	register u64 r8 __asm__("r8") = e;
	__asm__ volatile("syscall"
		: "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
	return result;
#else
	register long x8 __asm__("x8") = number;
	register u64 x0 __asm__("x0") = a;
	register u64 x1 __asm__("x1") = b;
	register u64 x2 __asm__("x2") = c;
	register u64 x3 __asm__("x3") = d;
	register u64 x4 __asm__("x4") = e;
	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
	return x0;
#endif
}

/* Returns the pid, or a negative errno, and then there is no new process. The new one executes the file that `program` is
 * open on, with the `count` descriptors in `kept` open beside those that are kept at any exec. Signals stay blocked in
 * it: a handler of ours must not run in a process that shares our memory. */
__attribute__((used)) long _start(const void *arguments, u64 size, int program, const int *kept, u64 count)
{
	u64 all = ~0UL, before = 0;
	const char *const words[] = {"orlop-init", 0};
	volatile long failure = 0; /* the new process writes to our stack */
	call(RT_SIGPROCMASK, SIG_SETMASK, (u64)&all, (u64)&before, sizeof all, 0);
	long pid = call(CLONE3, (u64)arguments, size, 0, 0, 0);
	if (pid == 0) {
		for (u64 at = 0; at < count; at++)
			call(FCNTL, kept[at], F_SETFD, 0, 0, 0);
		failure = call(EXECVEAT, program, (u64) "", (u64)words, (u64)&words[1], AT_EMPTY_PATH);
		for (;;)
			call(EXIT_GROUP, 255, 0, 0, 0, 0);
	}
	if (failure)
		call(WAIT4, pid, 0, 0, 0, 0);
	call(RT_SIGPROCMASK, SIG_SETMASK, (u64)&before, 0, sizeof all, 0);
	return failure ? failure : pid;
}
