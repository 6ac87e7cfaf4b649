#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int main(void)
{
	char text[64];
	volatile long double third = 1.0L / 3;
	volatile uint64_t big = 0x123456789abcdef0u, small = 1000000007u;
	time_t later = (time_t)4102444800;
	struct tm *broken = gmtime(&later);

	if (sizeof(time_t) != 8) return 1;
	if (!broken || broken->tm_year != 200) return 2;
	if (big / small != 1311768458u || big % small != 281411114u) return 3;
	snprintf(text, sizeof text, "%.6Lf", third * 3);
	if (strcmp(text, "1.000000")) return 4;
	/* The library's long double and the compiler's are one. */
	if (LDBL_MANT_DIG != 53 && nextafterl(1.0L, 2.0L) - 1.0L != LDBL_EPSILON) return 5;
	if (fabsl(sqrtl(2.0L) * sqrtl(2.0L) - 2.0L) > 4 * LDBL_EPSILON) return 6;
	return puts("ok") < 0;
}
