from busybox as one
onbuild copy <<EOF /x
hello
EOF
Onbuild Env A=b
FROM one
RUN true
