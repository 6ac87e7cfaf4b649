#ifdef __cplusplus
extern "C" {
#endif
long sum_in_threads(int threads, int upto);
int catch_exception(int value);
#ifdef __cplusplus
}
#endif
