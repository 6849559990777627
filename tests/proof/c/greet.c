#include <stdio.h>
#include <unistd.h>

int main(int count, char **words)
{
	for (int at = 1; at < count; at++)
		printf("hello %s from user %d\n", words[at], (int)getuid());
	return count < 2;
}
