#include <atomic>
#include <cstdio>
#include <exception>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

struct Witness {
	std::atomic<int> &gone;
	~Witness() { gone++; }
};

static std::atomic<int> gone;

static int deep(int n)
{
	Witness w{gone};
	if (n == 0) throw std::runtime_error("bottom");
	return deep(n - 1) + 1;
}

int main()
{
	std::vector<std::exception_ptr> caught(4);
	std::vector<std::thread> threads;
	for (auto &one : caught)
		threads.emplace_back([&one] {
			try {
				deep(20);
			} catch (...) {
				one = std::current_exception();
			}
		});
	for (auto &one : threads) one.join();
	std::map<std::string, int> heard;
	for (auto &one : caught)
		try {
			std::rethrow_exception(one);
		} catch (const std::exception &e) {
			heard[e.what()]++;
		}
	std::ostringstream text;
	text << heard["bottom"] << ' ' << gone;
	return text.str() != "4 84" || std::puts("ok") < 0;
}
