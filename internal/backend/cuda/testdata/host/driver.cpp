// A CUDA driver that runs kernels on the processor, for tests where there is no device:
// the part of the API that package cuda calls. Workgroups run one after the other, the
// threads of one as contexts that take turns at barriers. Nothing runs before somebody
// waits for it, so that who looks at memory too early sees old values.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <setjmp.h>
#include <string>
#include <ucontext.h>
#include <vector>

unsigned host_tid, host_ctaid_x, host_ctaid_y, host_nctaid_x;

namespace {
// Contexts are made once and then run thread after thread; jumps between them are no
// system calls, as those of ucontext are.
ucontext_t contexts[1024];
jmp_buf scheduler, threads[1024];
bool made[1024], finished[1024];
std::vector<char> stacks[1024];
void (*entry)(void **);
void **arguments;

void pause(unsigned i) {
	if (!_setjmp(threads[i])) _longjmp(scheduler, 1);
}

void run(int i) {
	for (;;) {
		entry(arguments);
		finished[i] = true;
		pause(i);
	}
}

void resume(unsigned i) {
	if (_setjmp(scheduler)) return;
	if (made[i]) _longjmp(threads[i], 1);
	made[i] = true;
	stacks[i].resize(64 << 10);
	getcontext(&contexts[i]);
	contexts[i].uc_stack.ss_sp = stacks[i].data();
	contexts[i].uc_stack.ss_size = stacks[i].size();
	makecontext(&contexts[i], (void (*)())run, 1, (int)i);
	setcontext(&contexts[i]);
}

void workgroup(unsigned n) {
	for (unsigned i = 0; i < n; i++) finished[i] = false;
	for (unsigned left = n; left > 0;)
		for (unsigned i = 0; i < n; i++) {
			if (finished[i]) continue;
			host_tid = i;
			resume(i);
			left -= finished[i];
		}
}

// Launch is a kernel with its arguments.
struct Launch {
	void (*f)(void **);
	unsigned gx, gy, bx;
	char push[128];
	int zero;

	void run() const {
		void *params[] = {(void *)push, (void *)&zero};
		entry = f;
		arguments = params;
		host_nctaid_x = gx;
		for (host_ctaid_y = 0; host_ctaid_y < gy; host_ctaid_y++)
			for (host_ctaid_x = 0; host_ctaid_x < gx; host_ctaid_x++) workgroup(bx);
	}
};
typedef std::vector<Launch> Work;

Work stream;     // what waits to run
Work *capturing; // the graph in the making
}

void host_barrier() { pause(host_tid); }

// host_mma is that of tensor.cu: the lanes of a warp show each other their words.
void host_mma(float *c, const unsigned *a, const unsigned *b, bool pairs) {
	static unsigned left[1024][4], right[1024][2];
	memcpy(left[host_tid], a, sizeof left[0]);
	memcpy(right[host_tid], b, sizeof right[0]);
	host_barrier();
	unsigned warp = host_tid / 32 * 32, g = host_tid % 32 / 4, t = host_tid % 4;
	auto value = [](unsigned word, int part) {
		unsigned bits = part ? word & 0xffff0000u : word << 16;
		return __builtin_bit_cast(float, bits);
	};
	for (int r = 0; r < 4; r++) {
		unsigned row = g + r / 2 * 8, col = 2 * t + r % 2;
		for (unsigned k = 0; k < 8; k++) {
			unsigned x = left[warp + row % 8 * 4 + k % 4][row / 8 + k / 4 * 2], w = right[warp + col * 4 + k % 4][k / 4];
			if (pairs)
				for (int part = 0; part < 2; part++) c[r] += value(x, part) * value(w, part);
			else
				c[r] += __builtin_bit_cast(float, x) * __builtin_bit_cast(float, w);
		}
	}
	host_barrier();
}

extern "C" {
int cuInit(unsigned) { return 0; }
int cuDeviceGetCount(int *n) { return *n = 1, 0; }
int cuDeviceGet(int *d, int i) { return *d = i, 0; }
int cuDeviceGetName(char *s, int n, int) { return strncpy(s, "the processor, for tests", n), 0; }
int cuDeviceTotalMem_v2(size_t *n, int) { return *n = 1 << 30, 0; }
int cuDeviceGetAttribute(int *v, int which, int) {
	const char *capability = getenv("SOTTO_HOST_CAPABILITY");
	return *v = which == 75 ? capability ? atoi(capability) : 7 : which == 89, 0;
}
int cuDevicePrimaryCtxRetain(void **c, int) { return *c = (void *)1, 0; }
int cuDevicePrimaryCtxRelease_v2(int) { return 0; }
int cuCtxSetCurrent(void *c) { return c == (void *)1 ? 0 : 201; }
int cuModuleLoadData(void **m, const void *ptx) { return *m = (void *)2, strncmp((const char *)ptx, ".version", 8) ? 218 : 0; }
int cuModuleUnload(void *) { return 0; }
int cuModuleGetFunction(void **f, void *, const char *name) {
	*f = dlsym(RTLD_DEFAULT, (std::string("host_") + name).c_str());
	if (!*f) { // loaded as a local library
		static void *self = dlopen("libcuda.so.1", RTLD_NOW);
		*f = dlsym(self, (std::string("host_") + name).c_str());
	}
	return *f ? 0 : 500;
}
int cuMemAllocManaged(uint64_t *p, size_t n, unsigned) {
	void *m = aligned_alloc(4096, (n + 4095) / 4096 * 4096);
	return *p = (uint64_t)m, m ? 0 : 2;
}
int cuMemHostAlloc(void **p, size_t n, unsigned flags) { return flags == 2 ? cuMemAllocManaged((uint64_t *)p, n, 1) : 1; }
int cuMemFreeHost(void *p) { return free(p), 0; }
int cuMemFree_v2(uint64_t p) { return free((void *)p), 0; }
int cuStreamCreate(void **s, unsigned) { return *s = &stream, 0; }
int cuStreamDestroy_v2(void *) { return 0; }
int cuStreamSynchronize(void *s) {
	if (s != &stream || capturing) return 1;
	for (const Launch &l : stream) l.run();
	stream.clear();
	return 0;
}
int cuStreamBeginCapture_v2(void *s, int mode) {
	if (s != &stream || capturing || mode != 1) return 1;
	capturing = new Work;
	return 0;
}
int cuStreamEndCapture(void *s, void **graph) {
	if (s != &stream || !capturing) return 1;
	*graph = capturing;
	capturing = nullptr;
	return 0;
}
int cuGraphInstantiateWithFlags(void **exec, void *graph, unsigned long long flags) {
	*exec = new Work(*(Work *)graph);
	return flags ? 1 : 0;
}
int cuGraphDestroy(void *graph) { return delete (Work *)graph, 0; }
int cuGraphExecDestroy(void *exec) { return delete (Work *)exec, 0; }
int cuGraphLaunch(void *exec, void *s) {
	if (s != &stream || capturing) return 1;
	const Work &w = *(Work *)exec;
	stream.insert(stream.end(), w.begin(), w.end());
	return 0;
}
int cuGetErrorString(int, const char **s) { return *s = "an error of the host driver", 0; }
int cuLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned, void *s, void **params, void **) {
	if (s != &stream || gz != 1 || by != 1 || bz != 1 || bx > 1024 || gx == 0 || gy == 0) return 1;
	Launch l{(void (*)(void **))f, gx, gy, bx};
	memcpy(l.push, params[0], sizeof l.push);
	l.zero = *(int *)params[1];
	(capturing ? *capturing : stream).push_back(l);
	return 0;
}
}
