#include "work.h"

#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static int thrower(int value)
{
	throw std::runtime_error(std::to_string(value));
}

int catch_exception(int value)
{
	try {
		return thrower(value);
	} catch (const std::exception &error) {
		return std::stoi(error.what());
	}
}

long sum_in_threads(int threads, int upto)
{
	std::vector<long> sums(threads);
	std::vector<std::thread> running;
	for (int i = 0; i < threads; i++)
		running.emplace_back([&sums, i, upto] {
			for (int n = 1; n <= upto; n++)
				sums[i] += n;
		});
	for (auto &one : running)
		one.join();
	return std::accumulate(sums.begin(), sums.end(), 0L);
}
