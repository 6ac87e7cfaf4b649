#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void __attribute__((noinline)) overrun(volatile char *text, int n)
{
	char room[16];
	volatile char *p = room;
	for (int i = 0; i < n; i++) p[i] = text[i];
	text[0] = p[3];
}

int main(void)
{
	char text[256];
	int status;
	memset(text, 'x', sizeof text);
	overrun(text, 16);
	pid_t child = fork();
	if (child < 0) return 1;
	if (child == 0) {
		overrun(text, 64);
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child) return 2;
	/* It was stopped, and did not return into what the overrun left. */
	if (!WIFSIGNALED(status)) return 3;
	return puts("ok") < 0;
}
