/*
 * Atomic operations for ARMv5, which has no instructions for them: the kernel's user helpers do
 * it at fixed addresses (Documentation/arch/arm/kernel_user_helpers.rst). GCC has the like in its
 * libgcc; clang's runtime has not. The names are builtins, so they are given as asm labels.
 */
typedef int (cmpxchg_helper)(int before, int after, volatile int *place);
typedef void (barrier_helper)(void);

#define kernel_cmpxchg (*(cmpxchg_helper *)0xffff0fc0)
#define kernel_barrier (*(barrier_helper *)0xffff0fa0)

void synchronize(void) __asm__("__sync_synchronize");
int swap4(volatile int *, int) __asm__("__sync_lock_test_and_set_4");
int compare4(volatile int *, int, int) __asm__("__sync_val_compare_and_swap_4");
unsigned char swap1(volatile unsigned char *, unsigned char) __asm__("__sync_lock_test_and_set_1");
unsigned char compare1(volatile unsigned char *, unsigned char, unsigned char)
	__asm__("__sync_val_compare_and_swap_1");

void synchronize(void)
{
	kernel_barrier();
}

int compare4(volatile int *place, int before, int after)
{
	for (;;) {
		int now = *place;
		if (now != before)
			return now;
		if (kernel_cmpxchg(before, after, place) == 0)
			return before;
	}
}

int swap4(volatile int *place, int after)
{
	for (;;) {
		int now = *place;
		if (kernel_cmpxchg(now, after, place) == 0)
			return now;
	}
}

/* A byte is exchanged with the word around it. */
unsigned char compare1(volatile unsigned char *place, unsigned char before, unsigned char after)
{
	unsigned shift = ((unsigned)place & 3) * 8;
	volatile int *word = (volatile int *)((unsigned)place & ~3u);
	for (;;) {
		unsigned now = (unsigned)*word;
		if ((unsigned char)(now >> shift) != before)
			return (unsigned char)(now >> shift);
		unsigned next = (now & ~(0xffu << shift)) | (unsigned)after << shift;
		if (kernel_cmpxchg((int)now, (int)next, word) == 0)
			return before;
	}
}

unsigned char swap1(volatile unsigned char *place, unsigned char after)
{
	for (;;) {
		unsigned char now = *place;
		if (compare1(place, now, after) == now)
			return now;
	}
}
