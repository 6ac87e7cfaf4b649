#include <pthread.h>
#include <stdio.h>
#include <string.h>

static __thread int mine = 7;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int times;
static void count(void) { times++; }

static int deep(int n)
{
	volatile char room[4096];
	memset((void *)room, n, sizeof room);
	return n ? deep(n - 1) + room[17] - n : 0;
}

static void *run(void *arg)
{
	pthread_once(&once, count);
	mine += *(int *)arg;
	/* 400 KiB of stack: more than musl's own default of 128 KiB for a thread. */
	return deep(100) == 0 && mine == 7 + *(int *)arg ? arg : 0;
}

int main(void)
{
	pthread_t threads[8];
	pthread_attr_t big;
	int numbers[8];

	pthread_attr_init(&big);
	pthread_attr_setstacksize(&big, 1 << 20);
	for (int i = 0; i < 8; i++) {
		numbers[i] = i;
		if (pthread_create(&threads[i], &big, run, &numbers[i])) return 1;
	}
	for (int i = 0; i < 8; i++) {
		void *answer;
		if (pthread_join(threads[i], &answer) || answer != &numbers[i]) return 2;
	}
	if (mine != 7 || times != 1) return 3;
	return puts("ok") < 0;
}
