/* The sandbox of every pod of the local cluster: holds the namespaces, and goes when it is told to. */
#include <signal.h>

int main(void) {
  sigset_t signals;
  int received;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, 0);
  return sigwait(&signals, &received);
}
