#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	return (*(const unsigned char *)a > *(const unsigned char *)b) -
	       (*(const unsigned char *)a < *(const unsigned char *)b);
}

static int sorted(unsigned char *bytes, size_t n)
{
	unsigned long sum = 0, after = 0;
	for (size_t i = 0; i < n; i++) sum += bytes[i];
	qsort(bytes, n, 1, compare);
	for (size_t i = 0; i < n; i++) {
		after += bytes[i];
		if (i && bytes[i - 1] > bytes[i]) return 0;
	}
	return after == sum;
}

int main(void)
{
	/* One more than the 33rd Leonardo number: on 32-bit machines the heap is then two trees whose
	 * bits lie a whole word apart. The last byte is the smallest, so it has to pass both; a musl
	 * with CVE-2026-40200 walks off the stack here. */
	size_t n = sizeof(size_t) == 4 ? 11405774 : 300000;
	unsigned char *bytes = malloc(n);
	unsigned state = 1;

	if (!bytes) return 1;
	for (size_t i = 0; i < 300000; i++) {
		state = state * 1664525u + 1013904223u;
		bytes[i] = state >> 24;
	}
	if (!sorted(bytes, 300000)) return 2;
	for (size_t i = 0; i < n; i++) bytes[i] = 1 + (unsigned long long)i * 200 / n;
	bytes[n - 1] = 0;
	if (!sorted(bytes, n)) return 3;
	return puts("ok") < 0;
}
