#include <stdio.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	return (*(const unsigned char *)a > *(const unsigned char *)b) -
	       (*(const unsigned char *)a < *(const unsigned char *)b);
}

int main(void)
{
	/* The bookkeeping needs its second word from some millions of elements on 32-bit machines. */
	size_t n = sizeof(size_t) == 4 ? 7200000 : 300000;
	unsigned char *bytes = malloc(n);
	unsigned long sum = 0, after = 0;
	unsigned state = 1;

	if (!bytes) return 1;
	for (size_t i = 0; i < n; i++) {
		state = state * 1664525u + 1013904223u;
		sum += bytes[i] = i % 3 ? i * 200 / n : state >> 24;
	}
	qsort(bytes, n, 1, compare);
	for (size_t i = 0; i < n; i++) {
		after += bytes[i];
		if (i && bytes[i - 1] > bytes[i]) return 2;
	}
	if (after != sum) return 3;
	return puts("ok") < 0;
}
