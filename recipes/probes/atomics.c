#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

static _Atomic uint8_t a8;
static _Atomic uint16_t a16;
static _Atomic uint32_t a32;
static _Atomic uint64_t a64;

static void *run(void *arg)
{
	for (int i = 0; i < 10000; i++) {
		a8++;
		a16++;
		a32++;
		a64 += 0x100000001u;
	}
	return arg;
}

int main(void)
{
	pthread_t threads[4];
	for (int i = 0; i < 4; i++)
		if (pthread_create(&threads[i], 0, run, 0)) return 1;
	for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
	if (a8 != (uint8_t)40000 || a16 != 40000 || a32 != 40000) return 2;
	if (a64 != 40000 * (uint64_t)0x100000001u) return 3;
	return puts("ok") < 0;
}
