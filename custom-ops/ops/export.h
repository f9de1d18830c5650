// Marks the functions that a library shows; all others are hidden.

#ifndef BAMBA_OPS_EXPORT_H_
#define BAMBA_OPS_EXPORT_H_

#if defined(_WIN32)
#define BAMBA_EXPORT __declspec(dllexport)
#else
#define BAMBA_EXPORT __attribute__((visibility("default")))
#endif

#endif  // BAMBA_OPS_EXPORT_H_
