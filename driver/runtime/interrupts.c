/* Intrinsics of Microsoft's compiler that clang only declares. */

void _disable(void)
{
    __asm__ volatile("cli" ::: "memory");
}

void _enable(void)
{
    __asm__ volatile("sti" ::: "memory");
}
